"""A run whose answers are there already, of any number of rows: what scoring, comparing and reporting start from."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.config import RunConfig
from loralift.data import render_prompt
from loralift.generation import Description
from loralift.metrics import DEFAULT_METRICS
from loralift.records import BASE, Answer, Prompt, Question, ReferenceLikelihood
from loralift.workflow import files
from loralift.workflow.asking import Asked, Asking
from loralift.workflow.codec import plain
from loralift.workflow.datasets import DatasetRun, load_datasets
from loralift.workflow.prepare import Ready
from loralift.workflow.provenance import begin_or_resume
from loralift.workflow.run_directory import RunDirectory

ADAPTER = "adapter"
SHARES = {BASE: 0.2, ADAPTER: 0.3}
"""Variant to the share of its answers' sentences that are the reference's; the others are other answers'."""

LEXICAL = tuple(name for name in DEFAULT_METRICS if name not in ("semantic_similarity", "windowed"))
"""The default metrics but those that embed."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stand-in of a generator that has answered.

    Attributes:
        variants: Who answered.
    """

    variants: tuple[str, ...] = tuple(SHARES)

    def describe(self) -> Description:
        """What run.json says of it."""
        adapter = {"source": ADAPTER, "target_modules": ["none"], "parameters": 0}
        information = {"parameters": 0, "adapters": {ADAPTER: adapter}}
        return Description({"base": "none", "adapters": {ADAPTER: "none"}}, {}, information)


def questions_of(source: Path, rows: int) -> Iterator[Question]:
    """The source's own rows, then such as its sentences make: as long as the source's, and no two the same.

    Args:
        source: JSON lines with ``question`` and ``ground_truths``.
        rows: How many.
    """
    lines = [json.loads(line) for line in source.read_text(encoding="utf-8").split("\n") if line]
    references = [line["ground_truths"][0] for line in lines]
    sentences = [sentence for text in references for sentence in _SENTENCE.split(text)]
    draw = random.Random(0)
    for row in range(rows):
        of = row % len(lines)
        made = references[of]
        if row >= len(lines):
            made = " ".join(draw.choices(sentences, k=len(_SENTENCE.split(made))))
        yield Question(f"q{row}", lines[of]["question"], made)


def answers_of(questions: Sequence[Question], variant: str) -> Iterator[Answer]:
    """Answers as long as the references, in part of the same sentences."""
    sentences = [sentence for question in questions[:2000] for sentence in _SENTENCE.split(question.reference)]
    draw = random.Random(variant)
    for question in questions:
        own = _SENTENCE.split(question.reference)
        taken = [draw.choice(own if draw.random() < SHARES[variant] else sentences) for _ in own]
        text = " ".join(taken)
        yield Answer(question.id, text, "stop", 64, len(text) // 4, 0.01)


def likelihoods_of(questions: Sequence[Question], variant: str) -> Iterator[ReferenceLikelihood]:
    """How likely each reference is, made up."""
    draw = random.Random(variant)
    for question in questions:
        tokens = 1 + len(question.reference) // 4
        yield ReferenceLikelihood(question.id, -tokens * draw.uniform(1.8, 2.6) * (1 - SHARES[variant] / 10), tokens)


def config_of(root: Path) -> RunConfig:
    """The configuration of the run that ``record`` puts into a folder."""
    names: dict[str, Any] = {"model": "none", "adapters": {ADAPTER: ADAPTER}, "dataset": str(root / "questions.jsonl")}
    return RunConfig(**names, metrics=LEXICAL, primary="rougeL", noise_rows=0, output_dir=root / "run")


def part_of(root: Path) -> DatasetRun:
    """Its data set."""
    (part,) = load_datasets(config_of(root), RunDirectory(root / "run"), resume=False)
    return part


def record(source: Path, rows: int, root: Path) -> None:
    """Write a run directory as generation leaves it: run.json, data, answers and likelihoods of both variants.

    Args:
        source: As in ``questions_of``.
        rows: How many.
        root: An empty folder.
    """
    files.write_jsonl(root / "questions.jsonl", map(plain, questions_of(source, rows)))
    part = part_of(root)
    prompts = tuple(Prompt(question.id, render_prompt(question.question), ()) for question in part.data.questions[:1])
    generator: Any = Recorded()
    ready = Ready(config_of(root), generator, {"": Asked(Asking(part.protocol), prompts)}, ())
    begin_or_resume(ready, [part], resume=False, command="benchmarks.scoring", of_base={}, say=print)
    for variant in SHARES:
        files.write_jsonl(part.directory.answers(variant), map(plain, answers_of(part.data.questions, variant)))
        known = likelihoods_of(part.data.questions, variant)
        files.write_jsonl(part.directory.references(variant), map(plain, known))
