"""The last stage: make report.html, report.md, report.json and the charts from the run directory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from loralift.comparison import cut_columns, repeat_id
from loralift.errors import MOST_CHARACTERS, RunDirectoryError, first_line, some
from loralift.reading import reading, reason_of
from loralift.records import BASE, AdapterProof, Answer, Confounds, Report, Row
from loralift.reporting import charts, markdown, page
from loralift.reporting.charts.apart import Drawing, draw_apart
from loralift.visible import one_line
from loralift.workflow import files, memory
from loralift.workflow.codec import decode, plain
from loralift.workflow.comparing import Compared, read_comparison, refuse_decimals
from loralift.workflow.confounds import columns_of
from loralift.workflow.facts import facts_of
from loralift.workflow.generating import read_records
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import read_scores, read_summaries

NEEDED = ("variants", "config", "data", "hardware", "versions", "seconds", "sessions", "proofs", "notes", "also")
"""What of run.json a report is made of, besides the fingerprint."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What run.json says of a run, as a report shows it."""

    title: str
    variants: tuple[str, ...]
    also: tuple[str, ...]
    proofs: tuple[AdapterProof, ...]
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    refused: Mapping[str, str]
    repeats: int
    training: str


@memory.looked_for_seldom()
def build_report(directory: RunDirectory) -> Report:
    """Gather what a report shows from the files of a finished run.

    Args:
        directory: The run, or one of its further data sets.

    Raises:
        RunDirectoryError: The folder is no run, the run is not finished, or one of its files is damaged.
    """
    made = _made(directory)
    variants = made.variants
    read = {variant: read_summaries(directory, variant) for variant in variants}
    with files.as_written(directory.results(variants[0])):
        refuse_decimals(read[variants[0]][0])
    compared = _compared(directory, variants) if len(variants) > 1 else None
    confounds = compared.confounds if compared else Confounds()
    also = {name: RunDirectory(directory.root / "also" / name) for name in made.also}
    return Report(
        title=made.title,
        variants=variants,
        metrics=read[variants[0]][0],
        summaries={variant: summaries for variant, (_, summaries) in read.items()},
        comparison=compared.comparison if compared else None,
        sdk_tests=compared.tests if compared else (),
        confounds=confounds,
        findings=compared.findings if compared else (),
        proofs=made.proofs,
        also={name: read_comparison(place).comparison for name, place in also.items() if place.comparison.exists()},
        facts=made.facts,
        notes=(*made.notes, *_clean(confounds, made.training)),
        rows=_rows(directory, variants, made.repeats),
        refused=made.refused,
    )


def _made(directory: RunDirectory) -> _Made:
    with reading(directory.root, RunDirectoryError):
        run = directory.read_run()
    with files.as_written(directory.run):
        if lacking := [name for name in NEEDED if name not in run]:
            raise RunDirectoryError(f"{directory.run} lacks {some(lacking)}: {files.PUT_BACK}")
        if run["variants"][:1] != [BASE]:
            raise RunDirectoryError(f"{directory.run}: the variants must begin with {BASE!r}: {files.PUT_BACK}")
        config = run["config"]
        return decode(
            _Made,
            {
                "title": f"{_name(config['model'])} on {_name(run['data']['source'])}",
                **{name: run[name] for name in ("variants", "also", "proofs", "notes")},
                "facts": facts_of(run),
                "refused": run.get("refused", {}),
                "repeats": config["repeats"],
                "training": str(config["train_data"]),
            },
        )


def _compared(directory: RunDirectory, variants: Sequence[str]) -> Compared:
    if not directory.comparison.exists():
        raise RunDirectoryError(f"{directory.root} is not finished: it has no comparison.json; add --resume to its run")
    compared = read_comparison(directory)
    if compared.comparison.candidates != tuple(variants[1:]):
        raise RunDirectoryError(f"{directory.comparison} is not of the variants of {directory.run}: {files.PUT_BACK}")
    return compared


def _clean(confounds: Confounds, training: str) -> Iterator[str]:
    """A sentence that no row leaked, if that was checked; leaks are findings."""
    if confounds.leaks and not any(confounds.leaks.values()):
        yield f"no question and no reference was found in the training data ({_name(training)})"


def _name(source: str) -> str:
    """What people call a model or a data set: a hub id as it is, of a path the last part.

    >>> _name("nvidia/Nemotron-8B"), _name("/data/questions.jsonl"), _name("../models/base/")
    ('nvidia/Nemotron-8B', 'questions.jsonl', 'base')
    """
    local = source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).exists()
    return Path(source).name if local else source


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a report's files.

    Attributes:
        report: The report, with a note on each chart that could not be drawn.
        files: Those that were written; the page to open first is the first.
        unwritten: Why the others could not be, a sentence each.
    """

    report: Report
    files: tuple[Path, ...]
    unwritten: tuple[str, ...]


@memory.looked_for_seldom()
def write_report(directory: RunDirectory, report: Report) -> Written:
    """Write report.html, report.md, report.json and the charts; what cannot be written keeps nothing else back."""
    drawing = draw_apart(report)
    report = with_notes(report, drawing)
    pictures = {directory.charts / f"{chart.name}.png": chart for chart in drawing.charts}
    shown = {chart.alt: f"{directory.charts.name}/{chart.name}.png" for chart in charts.leading(drawing.charts)}
    content: dict[Path, Callable[[], bytes]] = {
        directory.report("html"): lambda: files.encoded(page.render(report, drawing.charts)),
        directory.report("md"): lambda: files.encoded(markdown.render(report, shown)),
        directory.report("json"): lambda: files.encoded(
            files.json_text(plain(replace(report, rows=())))
        ),  # rows have files
        **{path: partial(bytes, picture) for path, picture in zip(pictures, drawing.pictures, strict=True)},
    }
    written, unwritten = [], []
    for path, made in content.items():
        try:
            files.write_bytes(path, made())
            written.append(path)
        except RunDirectoryError as error:
            unwritten.append(str(error))
        except Exception as error:  # noqa: BLE001 - of a damaged run as much as possible is shown
            said = f"cannot make {path}: {type(error).__name__}: {first_line(error)}"
            unwritten.append(one_line(said, MOST_CHARACTERS))
    return Written(report, tuple(written), (*unwritten, *_remove_old(directory, set(pictures))))


def _json(report: Report) -> str:
    """The report without its rows, which have files of their own."""
    return files.json_text(plain(replace(report, rows=())))


def with_notes(report: Report, drawing: Drawing) -> Report:
    """The report, with a note on each chart that could not be drawn."""
    return replace(report, notes=(*report.notes, *drawing.missing)) if drawing.missing else report


def _remove_old(directory: RunDirectory, pictures: Collection[Path]) -> Iterator[str]:
    """Remove the pictures of an earlier report, perhaps with other metrics; says which could not be."""
    for picture in directory.charts.glob("*.png"):
        try:
            if picture not in pictures:
                picture.unlink()
        except OSError as error:
            yield f"cannot remove {picture}, which is of an earlier report: {reason_of(error)}"


def _rows(directory: RunDirectory, variants: tuple[str, ...], repeats: int) -> tuple[Row, ...]:
    """Every row of the run as a reader sees it, in the order of the data.

    Raises:
        RunDirectoryError: A variant has no answer or no score of a row, or one of another.
    """
    with files.as_written(directory.run):
        questions = directory.read_questions()
    answers = {variant: read_records(directory.answers(variant), Answer) for variant in variants}
    values = {variant: {s.id: s.values for s in read_scores(directory, variant)} for variant in variants}
    asked = {
        repeat_id(question.id, number) if repeats > 1 else question.id: question
        for question in questions
        for number in range(repeats)
    }
    for variant in variants:
        _refuse_others(directory.answers(variant), asked, answers[variant].keys())
        _refuse_others(directory.scores(variant), asked, values[variant].keys())
    columns = cut_columns(columns_of(questions)).columns
    rows = []
    for row, question in asked.items():
        parts = {name: column.part_of.get(question.id) for name, column in columns.items()}
        rows.append(
            Row(
                row,
                question.question,
                question.reference,
                {variant: answers[variant][row].text for variant in variants},
                {variant: values[variant][row] for variant in variants},
                {name: part for name, part in parts.items() if part is not None},
                question_id=question.id if repeats > 1 else "",
            )
        )
    return tuple(rows)


def _refuse_others(path: Path, asked: Mapping[str, Any], there: AbstractSet[str]) -> None:
    if missing := [row for row in asked if row not in there]:
        raise RunDirectoryError(f"{path} lacks {some(missing)}: add --resume to its run")
    if strange := there - asked.keys():
        raise RunDirectoryError(f"{path} has rows that the data do not have, {some(sorted(strange))}: {files.PUT_BACK}")
