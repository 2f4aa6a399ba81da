"""The last stage: make report.html, report.md, report.json and the charts from the run directory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from loralift.comparison import cut_columns, question_of
from loralift.errors import RunDirectoryError
from loralift.reading import reason_of
from loralift.records import AdapterProof, Answer, Confounds, Question, Report, Row
from loralift.reporting import charts, markdown, page
from loralift.reporting.charts.apart import Drawing, draw_apart
from loralift.workflow import files, memory
from loralift.workflow.codec import decode, plain
from loralift.workflow.comparing import read_comparison
from loralift.workflow.confounds import columns_of
from loralift.workflow.facts import facts_of
from loralift.workflow.generating import read_records
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import read_scores, read_summaries


@memory.looked_for_seldom()
def build_report(directory: RunDirectory) -> Report:
    """Gather what a report shows from the files of a finished run.

    Args:
        directory: The run, or one of its further data sets.

    Raises:
        RunDirectoryError: The folder is no run, or the run is not finished.
    """
    run = directory.read_run()
    variants = tuple(run["variants"])
    read = {variant: read_summaries(directory, variant) for variant in variants}
    if len(variants) > 1 and not directory.comparison.exists():
        raise RunDirectoryError(f"{directory.root} is not finished: it has no comparison.json; add --resume to its run")
    compared = read_comparison(directory) if len(variants) > 1 else None
    questions = directory.read_questions()
    also = {name: RunDirectory(directory.root / "also" / name) for name in run["also"]}
    return Report(
        title=f"{_name(run['config']['model'])} on {_name(run['data']['source'])}",
        variants=variants,
        metrics=read[variants[0]][0],
        summaries={variant: summaries for variant, (_, summaries) in read.items()},
        comparison=compared.comparison if compared else None,
        sdk_tests=compared.tests if compared else (),
        confounds=compared.confounds if compared else Confounds(),
        findings=compared.findings if compared else (),
        proofs=tuple(decode(AdapterProof, proof) for proof in run["proofs"]),
        also={name: read_comparison(place).comparison for name, place in also.items() if place.comparison.exists()},
        facts=facts_of(run),
        notes=(*run["notes"], *_clean(compared.confounds if compared else Confounds(), run["config"])),
        rows=_rows(directory, variants, questions, repeated=run["config"]["repeats"] > 1),
        refused=run.get("refused", {}),
    )


def _clean(confounds: Confounds, config: Mapping[str, Any]) -> Iterator[str]:
    """A sentence that no row leaked, if that was checked; leaks are findings."""
    if confounds.leaks and not any(confounds.leaks.values()):
        yield f"no question and no reference was found in the training data ({_name(str(config['train_data']))})"


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


def _rows(
    directory: RunDirectory, variants: tuple[str, ...], questions: Sequence[Question], *, repeated: bool
) -> tuple[Row, ...]:
    """Every row of the run as a reader sees it."""
    answers = {variant: read_records(directory.answers(variant), Answer) for variant in variants}
    values = {variant: {s.id: s.values for s in read_scores(directory, variant)} for variant in variants}
    columns = cut_columns(columns_of(questions)).columns
    by_id = {question.id: question for question in questions}
    question_by_row = {row: by_id[question_of(row) if repeated else row] for row in answers[variants[0]]}
    place = {question.id: number for number, question in enumerate(questions)}  # answers come longest prompt first
    rows = []
    for row, question in sorted(question_by_row.items(), key=lambda item: place[item[1].id]):
        parts = {name: column.part_of.get(question.id) for name, column in columns.items()}
        rows.append(
            Row(
                row,
                question.question,
                question.reference,
                {variant: answers[variant][row].text for variant in variants},
                {variant: values[variant][row] for variant in variants},
                {name: part for name, part in parts.items() if part is not None},
                question_id=question.id if repeated else "",
            )
        )
    return tuple(rows)
