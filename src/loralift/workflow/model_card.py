"""A model card of one adapter of a finished run, alone or within a README.md that is there."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.data.spec import BeirHub, HubDataset, parse_spec
from loralift.errors import RunDirectoryError, UsageError, some, wrong_argument
from loralift.reading import read_text
from loralift.records import Report
from loralift.reporting import card
from loralift.workflow import files, readme
from loralift.workflow.damage import within
from loralift.workflow.reporting import build_report
from loralift.workflow.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a card says of one adapter.

    Attributes:
        adapter: Its name.
        section: Markdown.
        results: Entries of ``results`` in the hub's ``model-index``, one at least.
    """

    adapter: str
    section: str
    results: list[dict[str, Any]]

    @property
    def whole(self) -> str:
        """A README.md that holds nothing else."""
        return readme.new_readme(self.adapter, self.section, self.results)


def make_card(directory: RunDirectory, adapter: str | None = None) -> ModelCard:
    """The card of one adapter.

    Args:
        directory: A finished run.
        adapter: Of its adapters; None: the only one.

    Raises:
        RunDirectoryError: The folder is no finished run, or only a part of one, whose card would leave out the rest.
        UsageError: There is no such adapter, it was refused, or it must be said which.
    """
    report = build_report(directory)
    run = directory.read_run()
    with within(directory.run):
        part, dataset = run["part"], _dataset(run["data"]["asked"]["dataset"])
    if part:
        raise RunDirectoryError(f"{directory.root} is a part of a run ({part}): give the run, whose card tells of all")
    name = _one_of(report, adapter)
    results = card.results(report, name, dataset)
    if not results:
        raise UsageError(f"{name} has no card: no metric has a value of it and its base")
    return ModelCard(name, card.section(report, name), results)


def write_into(path: Path, made: ModelCard) -> None:
    """Put a card into a README.md, or make the file; what else is in it stays as it is.

    Raises:
        UsageError: Its folder is not there, it is no text, or has something that could not be kept.
        RunDirectoryError: It cannot be written.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise UsageError(wrong_argument("--write", "a file in a folder that is there", str(path)))
    there = target.exists()
    before = read_text(target, UsageError) if there else ""
    try:
        text = readme.merged(before, made.adapter, made.section, made.results, card.OURS)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    with files.disk_errors(path):
        files.replace(target, [files.encoded(text)], stat.S_IMODE(target.stat().st_mode) if there else 0o644)


def _one_of(report: Report, adapter: str | None) -> str:
    """The adapter that is asked for.

    Raises:
        UsageError: As `make_card`.
    """
    compared = () if report.comparison is None else report.comparison.candidates
    if adapter is not None and adapter in report.refused:
        raise UsageError(f"{adapter} has no card, since it was refused: {report.refused[adapter]}")
    if not compared:
        raise UsageError("there is no card to make: no adapter was compared with its base")
    if adapter is None and len(compared) > 1:
        raise UsageError(f"`--adapter` must say whose card it is, one of {some(compared)}")
    if adapter is not None and adapter not in compared:
        raise UsageError(wrong_argument("--adapter", f"one of {some(compared)}", adapter))
    return adapter or compared[0]


def _dataset(spec: str) -> dict[str, str]:
    """The data set as the hub names it; of files only the name, since a folder is nobody's business.

    Args:
        spec: What ``--dataset`` said.
    """
    match parse_spec(spec):
        case HubDataset(dataset=name, config=config, split=split, revision=revision):
            said = {"type": name, "name": name, "config": config, "split": split, "revision": revision}
            return {key: value for key, value in said.items() if value is not None}
        case BeirHub(dataset=name, split=split):
            return {"type": f"BeIR/{name}", "name": f"BeIR/{name}", "split": split}
        case local:
            return {"type": local.path.stem, "name": local.path.name}
