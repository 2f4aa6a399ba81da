"""The run that is disturbed, and what must be true of it when it is finished after all."""

from __future__ import annotations

from pathlib import Path

from loralift import demo

TIMES = ("run.json", "times.jsonl", "report.html", "report.md", "report.json", "eval-*.json")
"""Files that hold times, which no two runs share; `docs/run-directory.md` lists them."""


def arguments(output: Path, *, rows: int = 12, metrics: str = "rouge,f1,perplexity") -> list[str]:
    """The command line of a small run of the demo's models on a CPU."""
    settings = demo.settings()
    adapters = [f"--adapter={name}={settings['adapters'][name]}" for name in ("fuller-lora", "endless-lora")]
    return [
        *("run", "--model", settings["model"], "--dataset", settings["dataset"], "--limit", str(rows), *adapters),
        *("--also", f"other={settings['dataset']}", "--system-prompt", "", "--max-new-tokens", "12", "--device", "cpu"),
        *("--metrics", metrics, "--resamples", "200", "--noise-rows", "4", "--batch-size", "4", "-o", str(output)),
    ]


def differences(run: Path, wanted: Path) -> list[str]:
    """What is not as in the run that nobody disturbed, a line each; none where all is well."""
    ours, theirs = _files(run), _files(wanted)
    found = [f"{name} is missing" for name in sorted(theirs.keys() - ours.keys())]
    found += [f"{name} is left over" for name in sorted(ours.keys() - theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        if not _holds_times(ours[name]) and ours[name].read_bytes() != theirs[name].read_bytes():
            found.append(f"{name} differs")
    return found


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run, as it is."""
    return {name: path.read_bytes() for name, path in _files(run).items()}


def _files(run: Path) -> dict[str, Path]:
    return {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}


def _holds_times(path: Path) -> bool:
    return any(path.match(pattern) for pattern in TIMES)
