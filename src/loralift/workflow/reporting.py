"""The last stage: make report.html, report.md, report.json and the charts from the run directory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from loralift.comparison import Column, cut_columns, repeat_id
from loralift.errors import MOST_CHARACTERS, RunDirectoryError, first_line, some
from loralift.kept import keep
from loralift.reading import reading, reason_of
from loralift.records import (
    BASE,
    AdapterProof,
    Answer,
    ById,
    Comparison,
    Confounds,
    Ids,
    MetricInfo,
    MetricSummary,
    Protocols,
    Question,
    Report,
    Row,
    Score,
    Thinking,
    conversation_of,
    part,
)
from loralift.reporting import charts, markdown, page
from loralift.reporting.charts.apart import Drawing, draw_apart
from loralift.visible import one_line
from loralift.workflow import files, memory
from loralift.workflow.codec import decode, plain
from loralift.workflow.comparing import MOST_RANKED, Compared, read_comparison
from loralift.workflow.confounds import columns_of
from loralift.workflow.damage import REMEDY, described, whole, within
from loralift.workflow.facts import facts_of
from loralift.workflow.recorded import read_records
from loralift.workflow.run_directory import RunDirectory, refuse_shard
from loralift.workflow.scored import read_scores, read_summaries, read_thinking
from loralift.workflow.stopping import said
from loralift.workflow.thinking import Read, reference_notes, thinking_notes

PROTOCOLS = "protocols/"


@memory.looked_for_seldom()
def build_report(directory: RunDirectory) -> Report:
    """Gather what a report shows from the files of a finished run.

    Args:
        directory: The run, or one of its further data sets.

    Raises:
        RunDirectoryError: The folder is no run, or the run is not finished.
    """
    with reading(directory.root, RunDirectoryError):
        run = directory.read_run()
    of = _run_file(directory, run)
    read = {variant: _summaries(directory, variant) for variant in of.variants}
    compared = _compared(directory, of.variants, of.protocols) if len(of.variants) > 1 else None
    protocols = compared.protocols if compared else None
    with reading(directory.run, RunDirectoryError, REMEDY):
        questions = directory.read_questions()
    with within(directory.run):
        facts = decode(dict[str, str], facts_of(run))
        title = f"{_name(run['config']['model'])} on {_name(run['data']['source'])}{_asked_by(of.part)}"
        alone = of.protocols[1:] if compared is None else ()
        elsewhere = [f"Asked by {some(alone)} too: protocols/NAME/report.html" for _ in alone[:1]]
        clean = tuple(_clean(compared.confounds if compared else Confounds(), run["config"]))
        repeats = int(run["config"]["repeats"])
    rows = _rows(directory, of.variants, questions, repeats)
    further = list(_further(directory, protocols))
    asked = {name: _rows(place, of.variants, questions, repeats) for name, place in further}
    of_rows = _notes_of_rows(directory, of.variants, rows, [(name, place, asked[name]) for name, place in further])
    return Report(
        title=title,
        variants=of.variants,
        metrics=read[of.variants[0]][0],
        summaries={variant: summaries for variant, (_, summaries) in read.items()},
        comparison=compared.comparison if compared else None,
        sdk_tests=compared.tests if compared else (),
        confounds=compared.confounds if compared else Confounds(),
        findings=compared.findings if compared else (),
        proofs=of.proofs,
        also=_compared_also(directory, of.also),
        facts=facts,
        notes=(*of.notes, *elsewhere, *clean, *of_rows, *(_of_all(compared) if compared else ())),
        rows=rows,
        refused=of.refused,
        protocols=protocols,
        judging=compared.judging if compared else None,
        sweep=compared.sweep if compared else None,
        asked=asked,
    )


def _compared_also(directory: RunDirectory, names: Sequence[str]) -> dict[str, Comparison]:
    """The comparisons of further data sets, as far as there are any."""
    also = {name: RunDirectory(directory.root / "also" / name) for name in names}
    return {name: read_comparison(place).comparison for name, place in also.items() if place.comparison.exists()}


def _asked_by(part: str) -> str:
    return f", asked by {part.removeprefix(PROTOCOLS)}" if part.startswith(PROTOCOLS) else ""


def _notes_of_rows(
    directory: RunDirectory,
    variants: Sequence[str],
    rows: Sequence[Row],
    further: Sequence[tuple[str, RunDirectory, Sequence[Row]]],
) -> Iterator[str]:
    """What a reader must know of the thinking of the run's answers, and of those under further protocols."""
    yield from _thinking(directory, variants, rows)
    for name, place, asked in further:
        yield from (f"{name}: {note}" for note in _thinking(place, variants, asked))


def _thinking(directory: RunDirectory, variants: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """What a reader must know of the variants' thinking, and of that in the references."""
    yield from reference_notes((row.reference for row in rows), read_thinking(directory, BASE))
    for name in variants:
        read = (
            Read(row.answers.get(name), name in row.thinking, row.values[name].get("truncated") == 1) for row in rows
        )
        yield from thinking_notes(name, read, read_thinking(directory, name))


def _of_all(compared: Compared) -> Iterator[str]:
    """What a reader must know of how all was compared."""
    yield from _of_stopping(compared)
    yield from _of_many(compared)


def _of_stopping(compared: Compared) -> Iterator[str]:
    """What a reader must know of rows that were asked until a verdict was sure."""
    if (stopping := compared.comparison.stopping) is None:
        return
    title = compared.comparison.metrics[compared.comparison.primary].title
    yield (
        f"{said(stopping)[0].upper()}{said(stopping)[1:]}. Only {title} is judged: looking at it chose the rows of all "
        "metrics, so the others are described, by intervals that hold wherever one stops, or by none. Where one stops "
        "early a difference looks too large, on the whole: read its interval. Tests of slices, lengths and failures, "
        "the ranking and NeMo Evaluator's paired tests are left out; those that `nel` makes of these bundles do not "
        "know of the stopping, nor do the intervals of one variant alone."
    )


def _of_many(compared: Compared) -> Iterator[str]:
    """What is left out of the report of many adapters."""
    yield from compared.sweep.notes if compared.sweep else ()
    candidates, drawn = compared.comparison.candidates, charts.drawn_alone(compared.comparison)
    if len(candidates) > len(drawn):
        yield (
            f"{len(candidates)} adapters: charts of single ones are drawn for {some(drawn)} alone, the ones with the "
            "most and the least of the metric that decides."
        )
    if len(candidates) > MOST_RANKED:
        yield f"Each adapter is compared with the base, but not with each: they are more than {MOST_RANKED}."


def _run_file(directory: RunDirectory, run: Mapping[str, Any]) -> _RunFile:
    """What the report takes from a finished run's run.json.

    Raises:
        RunDirectoryError: It is damaged, or the run is not finished, or it is a shard, which has no verdict.
    """
    refuse_shard(directory, run)
    with within(directory.run):
        of = decode(_RunFile, run)
    if of.variants[:1] != (BASE,):
        raise RunDirectoryError(f"{directory.run}: its variants must begin with {BASE!r}; {REMEDY}")
    if len(of.variants) > 1 and not directory.comparison.exists():
        raise RunDirectoryError(f"{directory.root} is not finished: it has no comparison.json; add --resume to its run")
    return of


def _further(directory: RunDirectory, protocols: Protocols | None) -> Iterator[tuple[str, RunDirectory]]:
    """The run of each protocol that does not decide."""
    for name in protocols.names[1:] if protocols else ():
        yield name, RunDirectory(directory.root / "protocols" / name)


@dataclass(frozen=True, slots=True)
class _RunFile:
    """What the report takes from run.json as it is."""

    variants: tuple[str, ...]
    also: tuple[str, ...]
    notes: tuple[str, ...]
    proofs: tuple[AdapterProof, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    protocols: tuple[str, ...] = ()


def _summaries(directory: RunDirectory, variant: str) -> tuple[dict[str, MetricInfo], dict[str, MetricSummary]]:
    place = directory.results(variant)
    with within(place):
        infos, summaries = read_summaries(directory, variant)
        for problem in described(infos.values()):
            raise RunDirectoryError(problem)
        return infos, summaries


def _compared(directory: RunDirectory, variants: Sequence[str], protocols: Sequence[str]) -> Compared:
    compared = read_comparison(directory)
    several = compared.protocols.names if compared.protocols is not None else ()
    if several != (tuple(protocols) if len(protocols) > 1 else ()):
        raise RunDirectoryError(
            f"{directory.comparison}: it was asked by {some(several) or 'one protocol'}, and run.json names "
            f"{some(protocols)}; {REMEDY}"
        )
    if tuple(variants) != (compared.comparison.baseline, *compared.comparison.candidates):
        raise RunDirectoryError(
            f"{directory.comparison}: it compares {some(compared.comparison.candidates)} with "
            f"{compared.comparison.baseline}, and run.json names {some(variants)}; {REMEDY}"
        )
    return compared


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
        # without its rows, which have files of their own
        directory.report("json"): lambda: files.encoded(files.json_text(plain(replace(report, rows=())))),
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
            unwritten.append(
                one_line(f"cannot make {path}: {type(error).__name__}: {first_line(error)}", MOST_CHARACTERS)
            )
    return Written(report, tuple(written), (*unwritten, *_remove_old(directory, set(pictures))))


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
    directory: RunDirectory, variants: Sequence[str], questions: Sequence[Question], repeats: int
) -> Sequence[Row]:
    """Every row of the run as a reader sees it, in the order of the data."""
    asked = Ids.of(name for question in questions for name in _names(question, repeats))
    answers: dict[str, Iterator[Answer]] = {}
    scores: dict[str, Iterator[Score]] = {}
    how = {variant: read_thinking(directory, variant) for variant in variants}
    for variant in variants:
        with within(directory.answers(variant)):
            answered = read_records(directory.answers(variant), Answer)
        with within(directory.scores(variant)):
            scored = read_scores(directory, variant)
        whole(answered.ids, asked, directory.answers(variant))
        whole(scored.ids, asked, directory.scores(variant))
        answers[variant] = answered.in_order(asked)
        scores[variant] = ById(scored.ids, scored).in_order(asked)
    return keep(
        _each_row(_numbered(questions, repeats), answers, scores, how, cut_columns(columns_of(questions)).columns)
    )


def _names(question: Question, repeats: int) -> list[str]:
    """The ids of the rows of a question."""
    return [question.id] if repeats == 1 else [repeat_id(question.id, number) for number in range(repeats)]


def _numbered(questions: Sequence[Question], repeats: int) -> Iterator[tuple[str, Question, str]]:
    """Each row's id, its question, and the id that its question has besides."""
    for question in questions:
        together = conversation_of(question.id)
        named = together if together != question.id or repeats > 1 else ""
        yield from ((name, question, named) for name in _names(question, repeats))


def _each_row(
    asked: Iterable[tuple[str, Question, str]],
    answers: Mapping[str, Iterator[Answer]],
    scores: Mapping[str, Iterator[Score]],
    how: Mapping[str, Thinking],
    columns: Mapping[str, Column],
) -> Iterator[Row]:
    """The rows one after the other, of each variant's answers and scores in the same order."""
    part_of = {name: column.part_of for name, column in columns.items()}
    for row, question, together in asked:
        of_row = {variant: part(next(of).text, how[variant]) for variant, of in answers.items()}
        parts = {name: of.get(question.id) for name, of in part_of.items()}
        yield Row(
            row,
            question.conversation,
            question.reference,
            {variant: one.answer for variant, one in of_row.items() if one.answer is not None},
            {variant: next(of).values for variant, of in scores.items()},
            {name: one for name, one in parts.items() if one is not None},
            question_id=together,
            thinking={variant: one.thinking for variant, one in of_row.items() if one.spans},
        )
