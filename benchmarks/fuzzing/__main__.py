"""`python -m benchmarks.fuzzing`: feed every target with spoiled inputs; exit code 1 where one breaks.

With atheris, where it is installed (`make fuzz` does it), inputs are bred by which lines of LoraLift they reach;
without it they are good inputs spoiled at random. An input that breaks a target is written to `--out`.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARE = {"page": 0.02, "markdown": 0.1, "terminal": 0.05, "comparison.json": 0.5, "side": 0.5, "yaml": 0.5}
"""Runs of the slow targets beside those of the others."""

LONGEST = 6_000
MEMORY = Path("/dev/shm")


def main() -> None:
    """Run all targets, each in a process of its own, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60_000, help="of each target; slow ones get fewer")
    parser.add_argument("--target", help="only this one, in this process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris, even where it is installed")
    parser.add_argument("--out", type=Path, default=Path("runs") / "fuzzing", help="for inputs that break a target")
    asked = parser.parse_args()
    guided = importlib.util.find_spec("atheris") is not None and not asked.plain
    if asked.target is not None:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            (breed if guided else spoil)(asked.target, asked.runs, asked.seed, asked.out, Path(folder))
        return
    from benchmarks.fuzzing.seeds import seeds

    broken = 0
    for name in seeds():
        runs = max(1, int(asked.runs * SHARE.get(name, 1)))
        command = [sys.executable, "-m", "benchmarks.fuzzing", "--target", name, "--runs", str(runs)]
        began = time.monotonic()
        command += ["--plain"] * asked.plain
        done = subprocess.run([*command, "--seed", str(asked.seed), "--out", str(asked.out)], check=False,
                              capture_output=True, text=True)  # fmt: skip
        faults = sorted({line for line in done.stdout.splitlines() if line.startswith("FAULT ")})
        broken += bool(faults or done.returncode)
        how = "coverage-guided" if guided else "at random"
        print(f"{name:16} {runs:9,} runs {how}, {time.monotonic() - began:5.0f} s, {len(faults)} faults", flush=True)
        print("".join(f"  {fault}\n" for fault in faults) or (done.stderr[-2_000:] if done.returncode else ""), end="")
    sys.exit(broken > 0)


def breed(name: str, runs: int, seed: int, out: Path, folder: Path) -> None:
    """Let atheris breed inputs by coverage; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["loralift"]):
        from benchmarks.fuzzing.watching import Watched
    from benchmarks.fuzzing.seeds import WORDS, seeds

    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, good in enumerate(seeds()[name]):
        (corpus / str(number)).write_bytes(good)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS if len(word) < 64)
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    watched = Watched(name, folder, out)
    draw = random.Random(seed)

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        if draw.random() < 0.7:
            return bytes(atheris.Mutate(content, largest))
        return spoiled(content, draw)[:largest]

    options = [f"-runs={runs}", f"-seed={seed}", f"-dict={words}", f"-max_len={LONGEST}", "-timeout=20"]
    atheris.Setup(["fuzz", str(corpus), *options, f"-artifact_prefix={folder}/"], watched, custom_mutator=mutate)
    atheris.Fuzz()


def spoil(name: str, runs: int, seed: int, out: Path, folder: Path) -> None:
    """Spoil good inputs at random."""
    from benchmarks.fuzzing.seeds import seeds
    from benchmarks.fuzzing.watching import Watched

    watched, draw = Watched(name, folder, out), random.Random(seed)
    good = seeds()[name]
    for content in good:
        watched(content)
    for _ in range(runs):
        watched(spoiled(draw.choice(good), draw))


def spoiled(content: bytes, draw: random.Random) -> bytes:
    """An input in which some pieces are left out, doubled, flipped, exchanged, or replaced by known trouble."""
    from benchmarks.fuzzing.seeds import WORDS

    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice((0, 1, 2, 8, 32)))
        piece = draw.choice((b"", content[start:end] * 2, bytes([draw.randrange(256)]), draw.choice(WORDS)))
        content = content[:start] + piece + content[end:]
    return content[:200_000]


if __name__ == "__main__":
    main()
