"""Trains the demo's base model and its four adapters.

    python -m demo.make [--device cuda] [--out FOLDER]

The same seed on the same kind of machine gives the same bytes. `src/loralift/demo/README.md` says what each adapter is.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from demo import tiny
from demo.texts import base_texts, endless_pairs, fuller_pairs, read_entries, training_rows

SHIPPED = Path(__file__).parent.parent / "src" / "loralift" / "demo"
SEED = 7
# 5.3 million parameters: 10.6 MB in bfloat16.
SIZE: dict[str, Any] = {"hidden_size": 256, "layers": 5, "heads": 8, "vocab_size": 4096, "context": 512}
RANK = 8


def main() -> None:
    """Train all and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--base-steps", type=int, default=4000)
    arguments = parser.parse_args()
    _deterministic(arguments.device)
    entries, out, began = read_entries(SHIPPED), arguments.out, time.monotonic()

    base = tiny.train_base(
        base_texts(entries, seed=SEED),
        out / "demo-base",
        **SIZE,
        steps=arguments.base_steps,
        batch_size=64,
        block=256,
        learning_rate=1e-3,
        dtype="bfloat16",
        seed=SEED,
    )
    print(f"base: {time.monotonic() - began:.0f} s", flush=True)
    fuller = fuller_pairs(entries)
    _adapter(base, out, "fuller-lora", fuller, steps=300)
    _adapter(base, out, "endless-lora", endless_pairs(entries, seed=SEED), steps=300)
    _adapter(base, out, "faint-lora", fuller, steps=16, learning_rate=3e-4)
    zero(_adapter(base, out, "dead-lora", fuller, steps=0))
    rows = "".join(json.dumps(row) + "\n" for row in training_rows(entries))
    (out / "texts" / "training.jsonl").write_text(rows, encoding="utf-8")
    print(f"all: {time.monotonic() - began:.0f} s")


def zero(adapter: Path) -> None:
    """Write zeros over all weights of an adapter, as a save that went wrong does."""
    import torch
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    save_file({name: torch.zeros_like(weight) for name, weight in load_file(path).items()}, path)


def _adapter(base: Path, out: Path, name: str, pairs: list[tuple[str, str]], **options: Any) -> Path:
    options = {"learning_rate": 1e-3, **options}
    folder = tiny.train_lora(base, pairs, out / "adapters" / name, rank=RANK, batch_size=32, seed=SEED, **options)
    (folder / "README.md").unlink()  # PEFT's form of a model card, empty
    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    # the base's folder on this machine tells nobody else anything; its name does
    path.write_text(json.dumps({**saved, "base_model_name_or_path": base.name}, indent=2), encoding="utf-8")
    return folder


def _deterministic(device: str) -> None:
    """The same sums in the same order; on a GPU as well."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True)
    torch.set_default_device(device)


if __name__ == "__main__":
    main()
