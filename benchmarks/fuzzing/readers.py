"""Targets that read: bytes in, and either a value or an error of ours out; anything else is a fault.

A target is made with a folder of its own, where it writes its files; the folder lies in memory where there is such a
place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from loralift.cli.options import given
from loralift.cli.run import run as run_command
from loralift.config import RunConfig, load, parse
from loralift.data import SavedIndices, load_questions, parse_spec, read_training_texts
from loralift.errors import ComparisonError, LoraLiftError
from loralift.workflow.comparing import read_comparison
from loralift.workflow.recorded import read_records
from loralift.workflow.reporting import build_report
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scored import read_scores, read_summaries
from loralift.workflow.sides.reading import read_side

type Target = Callable[[bytes], None]
type Make = Callable[[Path], Target]

PARTS = b"\0\0"
"""What parts the files of a target that reads several."""


def of_data(suffix: str) -> Make:
    """A file of questions."""

    def make(folder: Path) -> Target:
        path = folder / f"data{suffix}"

        def read(content: bytes) -> None:
            path.write_bytes(content)
            load_questions(str(path))

        return read

    return make


def of_beir(folder: Path) -> Target:
    """BEIR's three files."""
    (folder / "qrels").mkdir()
    names = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")

    def read(content: bytes) -> None:
        parts = [*content.split(PARTS, 2), b"", b""]
        for name, part in zip(names, parts[:3], strict=True):
            (folder / name).write_bytes(part)
        load_questions(f"beir:{folder}")

    return read


def of_indices(folder: Path) -> Target:
    """A list of rows."""
    path = folder / "indices.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        SavedIndices(path).choose(100)

    return read


def of_training(suffix: str) -> Make:
    """What an adapter was trained on."""

    def make(folder: Path) -> Target:
        path = folder / f"train{suffix}"

        def read(content: bytes) -> None:
            path.write_bytes(content)
            read_training_texts(path)

        return read

    return make


def of_yaml(folder: Path) -> Target:
    """A configuration."""
    path = folder / "run.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load(path, {})

    return read


def of_flags(folder: Path) -> Target:
    """A command line, its words parted by NUL."""
    del folder

    def read(content: bytes) -> None:
        words = content.decode("utf-8", "surrogateescape").split("\0")
        try:
            context = run_command.make_context("run", words, resilient_parsing=False)
        except (click.ClickException, click.exceptions.Exit):
            return
        flags = {name: value for name, value in context.params.items() if name in RunConfig.model_fields}
        parse_spec(parse(given(flags)).dataset)

    return read


def of_side(folder: Path) -> Target:
    """A file that `compare` is given."""
    path = folder / "side.jsonl"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        read_side(path, ("f1",))

    return read


def of_run(name: str, read_from: Callable[[RunDirectory], Any]) -> Make:
    """A file of a run."""

    def make(folder: Path) -> Target:
        directory = RunDirectory(folder)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        directory.results("base").write_text('{"metrics": {}}', encoding="utf-8")

        def read(content: bytes) -> None:
            path.write_bytes(content)
            read_from(directory)

        return read

    return make


def of_report(run: Path) -> Make:
    """The run.json of a finished run, of which a report is built."""

    def make(folder: Path) -> Target:
        directory = RunDirectory(shutil.copytree(run, folder / "run"))

        def read(content: bytes) -> None:
            directory.run.write_bytes(content)
            build_report(directory)

        return read

    return make


def of_adapter_config(folder: Path) -> Target:
    """An adapter's configuration, as far as no model is built."""
    from loralift.generation.adapter import info

    path = folder / "adapter_config.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        info._read_config("--adapter a=x", folder, SimpleNamespace(model_type="llama"))

    return read


def of_adapter_weights(folder: Path) -> Target:
    """An adapter's safetensors."""
    from loralift.generation.adapter import fit

    path = folder / "adapter_model.safetensors"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        fit.check_values("--adapter a=x", fit.read_tensors("--adapter a=x", path))

    return read


def of_json(folder: Path) -> Target:
    """Any JSON, which must be what Python's own reader makes of it."""
    from loralift.reading import parse_json

    def read(content: bytes) -> None:
        ours = parse_json(content, folder, ComparisonError)
        if json.dumps(ours) != json.dumps(json.loads(content)):
            raise AssertionError("another document")

    return read


READERS: dict[str, Make] = {
    "json": of_json,
    "data .jsonl": of_data(".jsonl"),
    "data .json": of_data(".json"),
    "data .csv": of_data(".csv"),
    "data .tsv": of_data(".tsv"),
    "data .parquet": of_data(".parquet"),
    "beir": of_beir,
    "indices": of_indices,
    "training .txt": of_training(".txt"),
    "training .jsonl": of_training(".jsonl"),
    "yaml": of_yaml,
    "flags": of_flags,
    "side": of_side,
    "scores.jsonl": of_run("base/scores.jsonl", lambda run: read_scores(run, "base")),
    "answers.jsonl": of_run("base/answers.jsonl", lambda run: read_records(run.answers("base"), _answer())),
    "results": of_run("baseline_results.json", lambda run: read_summaries(run, "base")),
    "comparison.json": of_run("comparison.json", read_comparison),
    "adapter_config": of_adapter_config,
    "safetensors": of_adapter_weights,
}


def _answer() -> type:
    from loralift.records import Answer

    return Answer


def refused(target: Target, content: bytes) -> bool:
    """Whether a target refuses this input; what else it raises is raised."""
    try:
        target(content)
    except LoraLiftError as error:
        message = str(error)
        if len(message.splitlines()) != 1:
            raise AssertionError(f"an error that is no line: {message!r}") from error
        return True
    return False
