"""``python -m benchmarks.architectures``: see the package's docstring."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from functools import partial
from pathlib import Path

from benchmarks.architectures import report, tiny
from benchmarks.architectures.matrix import examine
from benchmarks.architectures.results import Result
from benchmarks.architectures.rounded import examine_rounded
from benchmarks.architectures.worker import SECONDS, examine_all


def main() -> None:
    """Examine architectures, print a line each, and write the page and the figures."""
    options = _options()
    names = options.only or tiny.names()
    unknown = sorted(set(names) - set(tiny.names()))
    if unknown:
        raise SystemExit(f"`--only` must name transformers' model types or variants of them, got {', '.join(unknown)}")
    rounded = options.dtype != "float32"
    ask = partial(examine, untested=options.untested)
    if rounded:
        ask = partial(examine_rounded, dtype=options.dtype, device=options.device)
    results = []
    began = time.perf_counter()
    for result in examine_all(names, ask, options.seconds):
        print(report.line(result), flush=True)
        results.append(result)
        if options.json:  # each time: what was found is kept if the rest is not waited for
            options.json.write_text(as_json(results), encoding="utf-8")
    print(f"{report.summary(results)} {time.perf_counter() - began:.0f} s.")
    if options.out:
        device = _name_of(options.device) if rounded else None
        options.out.write_text(report.page(results, device), encoding="utf-8")


def _name_of(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def as_json(results: list[Result]) -> str:
    """All figures."""
    return json.dumps([dataclasses.asdict(result) for result in results], indent=1) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=main.__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="model types, e.g. llama; all by default")
    parser.add_argument("--out", type=Path, help="where the Markdown page goes")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu", help="of the engine, e.g. cuda, with --dtype bfloat16")
    parser.add_argument("--untested", action="store_true", help="as if the engine had been tested with every type")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="most that one architecture may take")
    return parser.parse_args()


if __name__ == "__main__":
    main()
