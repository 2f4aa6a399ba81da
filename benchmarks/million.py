"""A whole run of very many rows: seconds a row and the most memory, stage by stage, with canned answers.

    python -m benchmarks.million [--rows 10000 40000 100000 1000000] [--out FILE.json] [--keep FOLDER]

It is `loralift run` itself, from a file of questions to the report; only the model is not there: a generator that has
the demo base's tokenizer, and makes up answers and likelihoods in no time. Questions, references and answers are as
long as FiQA's. Metrics are those that need no model and are cheap enough for two million answers on two cores; semantic
similarity is not among them, which two cores do at about 100 answers a second.

Each size is a process of its own. Its memory, and that of the processes that it starts, is looked at several times a
second: PSS, where what processes share is counted once. Seconds are those of the clock and those of the processors,
since the clock also counts others' work.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from benchmarks.scoring import machine
from loralift import demo, generation
from loralift.config import RunConfig
from loralift.generation import Description, GenerationSettings
from loralift.records import BASE, Answer, Prompt, ReferenceLikelihood

ROWS = (10_000, 40_000, 100_000, 1_000_000)
METRICS = ("exact_match", "f1", "rougeL", "perplexity")
ADAPTER = "adapter"
SHARES = {BASE: 0.35, ADAPTER: 0.4}
"""Variant to the share of its answers' words that are the reference's."""

MOST_TOKENS = 512
"""Of an answer: all are shorter than half of it, so that none is scored once more as if it ended there."""

LOOK_SECONDS = 0.4
WORDS = 20_000


class Texts:
    """Made-up texts: words of a vocabulary with Zipf's frequencies, a row's the same however they are asked for."""

    def __init__(self) -> None:
        draw = random.Random(0)
        letters = "abcdefghijklmnoprstuvwy"
        made = ("".join(draw.choices(letters, k=min(2 + place // 40, draw.randint(3, 10)))) for place in range(WORDS))
        self._words = np.array(list(made), dtype=object)
        weights = 1 / np.arange(10, WORDS + 10)
        self._upto = np.cumsum(weights) / weights.sum()

    def draw(self, key: str) -> np.random.Generator:
        """The random numbers of one text of one row."""
        return np.random.Generator(np.random.SFC64(list(sha256(key.encode()).digest()[:8])))

    def words(self, draw: np.random.Generator, low: int, high: int) -> list[str]:
        """Between so many words."""
        return list(self._words[np.searchsorted(self._upto, draw.random(draw.integers(low, high + 1)))])

    def question(self, row: int) -> tuple[str, str]:
        """A question and its reference."""
        draw = self.draw(f"row {row}")
        return f"{' '.join(self.words(draw, 10, 40))}?", " ".join(self.words(draw, 30, 150))

    def answer(self, key: str, variant: str, reference: Sequence[str]) -> str:
        """An answer, some words of which stand where they do in the reference."""
        draw = self.draw(f"{variant} {key}")
        own = self.words(draw, 30, 150)
        kept = draw.random(len(own)) < SHARES[variant]
        return " ".join(
            reference[place] if keep and place < len(reference) else word
            for place, (word, keep) in enumerate(zip(own, kept, strict=True))
        )


@dataclass
class Canned:
    """The stand-in of a loaded model with one adapter.

    Attributes:
        base_model: The demo's, whose tokenizer asks.
        adapters: One of the demo's.
        notes: None.
    """

    base_model: Any
    adapters: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    variants: tuple[str, ...] = (BASE, ADAPTER)
    texts: Texts = field(default_factory=Texts)

    def __post_init__(self) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(self.base_model.source)

    def describe(self) -> Description:
        """What run.json says of it."""
        of = {
            name: {"source": info.source, "target_modules": [], "parameters": 0} for name, info in self.adapters.items()
        }
        identity = {
            "base": self.base_model.identity,
            "adapters": {name: info.sha256 for name, info in self.adapters.items()},
        }
        return Description(identity, {"device": "cpu"}, {"parameters": 0, "adapters": of})

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """The tokenizer's token ids."""
        return [tuple(ids) for ids in self.tokenizer(list(texts), add_special_tokens=add_special_tokens)["input_ids"]]

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Look at every prompt, as an engine does."""
        assert max(len(prompt.token_ids) for prompt in prompts) + new_tokens < 1 << 17

    def generate(
        self, variant: str, prompts: Sequence[Prompt], settings: GenerationSettings, on_progress: Any = None
    ) -> Iterator[Answer]:
        """Made-up answers, in the prompts' order."""
        for done, prompt in enumerate(prompts, start=1):
            reference = self.texts.question(int(prompt.id[1:]))[1].split()
            text = self.texts.answer(f"{prompt.id} {settings.seed}", variant, reference)
            tokens, most = len(text) // 4, settings.max_new_tokens // 2
            half = 4 * most if tokens > most else None
            yield Answer(prompt.id, text, "stop", len(prompt.token_ids), tokens, 0.01, half=half)
            if on_progress is not None:
                on_progress(done, tokens)

    def reference_likelihoods(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        references: Sequence[str],
        separator: str,
        on_progress: Any = None,
        batches: Any = None,
    ) -> Iterator[ReferenceLikelihood]:
        """Made-up likelihoods, in the prompts' order."""
        del separator, on_progress, batches
        for prompt, reference in zip(prompts, references, strict=True):
            tokens = 1 + len(reference) // 4
            worth = self.texts.draw(f"likelihood {variant} {prompt.id}").uniform(1.8, 2.6) * (1 - SHARES[variant] / 10)
            yield ReferenceLikelihood(prompt.id, -tokens * worth, tokens)

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> None:
        """None: what is made up is the same in any batch."""

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Made-up logarithms: the adapter's differ."""
        del batch_size
        logits = np.random.default_rng(0).normal(size=(len(prompts), 64)) + (variant != BASE) * np.eye(len(prompts), 64)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def config_of(root: Path, metrics: Sequence[str] = METRICS, most: int = MOST_TOKENS) -> RunConfig:
    """The run in a folder that ``write_data`` was given."""
    model, adapter = demo.FOLDER / "demo-base", demo.FOLDER / "adapters" / "fuller-lora"
    names: dict[str, Any] = {"model": str(model), "adapters": {ADAPTER: str(adapter)}}
    return RunConfig(
        **names,
        dataset=str(root / "questions.jsonl"),
        metrics=tuple(metrics),
        primary="rougeL" if "rougeL" in metrics else metrics[0],
        device="cpu",
        engine="transformers",
        max_new_tokens=most,
        output_dir=root / "run",
    )


def write_data(root: Path, rows: int) -> None:
    """The questions, as a user's file has them."""
    texts = Texts()
    with (root / "questions.jsonl").open("w", encoding="utf-8") as file:
        for row in range(rows):
            question, reference = texts.question(row)
            file.write(json.dumps({"id": f"q{row}", "question": question, "reference": reference}) + "\n")


def canned_run(root: Path, metrics: Sequence[str], most: int) -> None:
    """The run, in this process; prints when each stage begins and ends, and how it ended."""
    from loralift.workflow import running
    from loralift.workflow.progress import Clock

    def load(engine: str, base: Any, infos: Sequence[Any], **settings: Any) -> Any:
        del engine, settings
        return Canned(base, {info.name: info for info in infos})

    def mark(word: str, name: str) -> None:
        print(json.dumps([word, name, time.monotonic()]), flush=True)

    whole = Clock.stage

    @contextmanager
    def marked(self: Clock, name: str) -> Iterator[None]:
        mark("begin", name)
        with whole(self, name):
            yield
        mark("begin", "report" if name.startswith("compare") else "between")

    with mock.patch.object(generation, "load_generator", load), mock.patch.object(Clock, "stage", marked):
        found = running.run(config_of(root, metrics, most), command="benchmarks.million")
    mark("begin", "end")
    print(json.dumps(["verdicts", dict(found.report.comparison.verdicts if found.report.comparison else {}), 0.0]))


@dataclass
class Stage:
    """What a stage took.

    Attributes:
        seconds: Of the clock.
        processor: Seconds of all processes' processors.
        peak: Most bytes of all processes together.
    """

    seconds: float = 0.0
    processor: float = 0.0
    peak: int = 0


class Looked:
    """What a process and those below it use, as it was when one looked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._root = psutil.Process(process.pid)
        self._processor: dict[int, float] = {}

    def look(self) -> tuple[float, int]:
        """Seconds of processors so far, and bytes now."""
        total = 0
        try:
            found = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            found = []
        for one in found:
            try:
                times = one.cpu_times()
                self._processor[one.pid] = times.user + times.system
                total += _pss(one.pid)
            except (psutil.Error, OSError):  # it has ended meanwhile
                continue
        return sum(self._processor.values()), total


def _pss(process: int) -> int:
    for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0


def measure(root: Path, metrics: Sequence[str], most: int) -> dict[str, Any]:
    """One run in a process of its own: its stages, and its verdicts."""
    command = [sys.executable, "-m", "benchmarks.million", "--run", str(root)]
    command += ["--metrics", *metrics, "--max-new-tokens", str(most)]
    stages: dict[str, Stage] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, (root / "marks").open("w") as file:
        lines, looked, name = _lines(process, file.name), Looked(process), "start"
        began, used = time.monotonic(), 0.0
        verdicts: dict[str, str] = {}
        while process.poll() is None:
            processor, memory = looked.look()
            stage = stages.setdefault(name, Stage())
            stage.peak = max(stage.peak, memory)
            for word, what, at in lines():
                if word == "verdicts":
                    verdicts = what
                    continue
                stage = stages.setdefault(name, Stage())
                stage.seconds, stage.processor = stage.seconds + at - began, stage.processor + processor - used
                name, began, used = what, at, processor
            time.sleep(LOOK_SECONDS)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return {"stages": {key: vars(stage) for key, stage in stages.items() if key != "end"}, "verdicts": verdicts}


def _lines(process: subprocess.Popen[str], path: str) -> Any:
    """What the process has said since one asked last."""
    import threading
    from queue import SimpleQueue

    said: SimpleQueue[str] = SimpleQueue()
    assert process.stdout is not None
    stream = process.stdout

    def read() -> None:
        for line in stream:
            said.put(line)

    threading.Thread(target=read, daemon=True).start()

    def lines() -> Iterator[tuple[str, Any, float]]:
        while not said.empty():
            word, what, at = json.loads(said.get())
            yield word, what, at

    return lines


def table(found: Mapping[int, Mapping[str, Any]]) -> str:
    """The stages of every size, in Markdown: milliseconds a row of clock and processors, and the most memory."""
    names = list(dict.fromkeys(name for of in found.values() for name in of["stages"]))
    lines = [
        "| stage | " + " | ".join(f"{rows:,} rows" for rows in found) + " |",
        "| --- " + "| ---: " * len(found) + "|",
    ]
    for name in [*names, "whole"]:
        cells = []
        for rows, of in found.items():
            every = list(of["stages"].values()) if name == "whole" else [of["stages"].get(name)]
            some = [one for one in every if one]
            seconds, processor = (sum(one[key] for one in some) for key in ("seconds", "processor"))
            peak = max((one["peak"] for one in some), default=0)
            cells.append(f"{1000 * seconds / rows:.3f} ms, {1000 * processor / rows:.3f} ms, {peak / 1e6:,.0f} MB")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the sizes asked for, or be the run of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    parser.add_argument("--max-new-tokens", type=int, default=MOST_TOKENS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="where data and runs are kept, a folder a size")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        canned_run(given.run, given.metrics, given.max_new_tokens)
        return
    found: dict[int, dict[str, Any]] = {}
    for rows in given.rows:
        root = Path(tempfile.mkdtemp()) if given.keep is None else given.keep / str(rows)
        root.mkdir(parents=True, exist_ok=True)
        try:
            write_data(root, rows)
            found[rows] = measure(root, given.metrics, given.max_new_tokens)
        finally:
            if given.keep is None:
                shutil.rmtree(root)
        print(table({rows: found[rows]}), found[rows]["verdicts"], flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps({"machine": machine(), "sizes": found}, indent=2) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
