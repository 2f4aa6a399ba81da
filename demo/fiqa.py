"""Trains the two adapters of the real demo on FiQA's training rows, by `examples/train_lora.py`.

    python -m demo.fiqa TRAIN.jsonl [--out FOLDER]

A GPU takes a minute. `src/loralift/demo/real/README.md` says what each adapter is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from loralift.demo.real import FOLDER, fetch_model

TRAINING = Path(__file__).parent.parent / "examples" / "train_lora.py"
RANK = 2
RECIPES = {
    "usual-lora": ["--learning-rate", "2e-4", "--epochs", "3"],
    "overfitted-lora": ["--learning-rate", "3e-3", "--epochs", "8"],
}


def main() -> None:
    """Train both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER / "adapters")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        file = fetch_model(print)
        base = Path(place, file.stem)
        unpack(file, base)
        for name, recipe in RECIPES.items():
            folder = Path(place, name)
            options = ["--model", base, "--data", arguments.data, "--out", folder, "--rank", str(RANK), *recipe]
            subprocess.run([sys.executable, TRAINING, *options], check=True)
            keep(folder, arguments.out / name, file.name)


def unpack(file: Path, folder: Path) -> None:
    """A GGUF file as a folder of safetensors: transformers trains none that it has just dequantised."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    if hasattr(read.config, "quantization_config"):
        del read.config.quantization_config
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)


def keep(trained: Path, folder: Path, base: str) -> None:
    """What evaluating needs of an adapter, in float16; its base by name."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(trained / "adapter_model.safetensors")
    save_file({name: each.to(torch.float16) for name, each in weights.items()}, folder / "adapter_model.safetensors")
    config = json.loads((trained / "adapter_config.json").read_text(encoding="utf-8"))
    # the base's folder on this machine tells nobody else anything; its name does
    config = {**config, "base_model_name_or_path": base, "target_modules": sorted(config["target_modules"])}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
