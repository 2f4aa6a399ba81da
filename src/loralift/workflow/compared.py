"""The folder of a comparison: comparison.json and a run's report, of what the inputs hold and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loralift.comparison import compare_slices, cut_columns, with_margins
from loralift.errors import RunDirectoryError, some
from loralift.nemo.summaries import summarise_all
from loralift.reading import reading
from loralift.records import Comparison, Confounds, Example, Parted, Plain, Report, Row, Score, SdkPairedTest, part
from loralift.reporting.findings import findings
from loralift.version import VERSION
from loralift.workflow.compare_inputs import Prepared
from loralift.workflow.comparing import corpus_aggregates, write_comparison
from loralift.workflow.doubting import Evidence
from loralift.workflow.external_formats import EITHER, IDS, PREDICTIONS, QUESTIONS, REFERENCES
from loralift.workflow.output import COMPARED, refuse_folder
from loralift.workflow.reporting import Written, write_report
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.sides.asked import COLUMNS, DATA, DECODING, FIELDS, GREEDY, NONE, NOTHING
from loralift.workflow.sides.differing import field_of
from loralift.workflow.sides.logs.lm_eval import NO_METRIC
from loralift.workflow.sides.pairing import clusters, unpaired
from loralift.workflow.sides.side import Shown, Side

type Found = tuple[Comparison, tuple[SdkPairedTest, ...]]

_NO_COLUMN = frozenset({*IDS, *QUESTIONS, *PREDICTIONS, *REFERENCES, *EITHER, *NO_METRIC, *COLUMNS, "prediction"})
"""Columns of a file that are no property of its questions."""


def write_folder(
    folder: Path,
    prepared: Prepared,
    found: tuple[Comparison, tuple[SdkPairedTest, ...]],
    evidence: Evidence,
    command: str,
) -> Written:
    """Write comparison.json and the report.

    Args:
        folder: Where; made if it is not there.
        prepared: What was compared.
        found: The comparison and the SDK's tests.
        evidence: What doubts about it are looked for in.
        command: What was called.

    Returns:
        What became of the report's files.

    Raises:
        RunDirectoryError: comparison.json cannot be written.
    """
    directory, report = RunDirectory(folder), report_of(prepared, found, evidence, command)
    assert report.comparison is not None
    with directory.locked():
        refuse_folder(folder)  # again: it may have been filled meanwhile
        of = report.confounds, report.findings, report.protocols
        write_comparison(directory, report.comparison, report.sdk_tests, *of, further={COMPARED: dict(report.facts)})
        return write_report(directory, report)


def report_of(prepared: Prepared, found: Found, evidence: Evidence, command: str) -> Report:
    """What a report shows of a comparison; arguments as in `write_folder`."""
    (comparison, tests), sides = found, prepared.sides
    of, texts = clusters(*sides), [_texts(side) for side in sides]
    columns = _columns(sides, texts)
    confounds = _with_slices(_of_these(evidence.confounds, comparison), prepared, comparison, columns)
    summaries = {side.name: summarise_all(side.scores, prepared.metrics, comparison.seed, of) for side in sides}
    return Report(
        title=f"{some([side.name for side in sides[1:]])} against {sides[0].name}",
        variants=tuple(side.name for side in sides),
        metrics=prepared.metrics,
        summaries=summaries,
        comparison=comparison,
        sdk_tests=tests,
        confounds=confounds,
        findings=findings(comparison, summaries, confounds, (), evidence.protocols),
        facts=_facts(sides, command),
        notes=tuple(_notes(sides, texts)),
        rows=_rows(prepared, texts, columns),
        protocols=evidence.protocols,
        inputs={side.name: str(side.place) for side in sides},
    )


def _texts(side: Side) -> dict[str, Shown]:
    """Id to the texts that a side has; an answer as it was scored, or as it stands where nobody here scored it."""
    examples = _examples(side)
    if examples is None:
        documents = {row: (of.get("question"), of.get("reference")) for row, of in side.documents.items()}
        return dict(side.shown) or {row: Shown(*of) for row, of in documents.items() if any(of)}
    found = {}
    for example in examples:
        question, answer = example.question, example.answer.text
        found[example.answer.id] = Shown(question.conversation or None, question.reference, answer)
    return found


def _examples(side: Side) -> Sequence[Example] | None:
    """A side's answers; None where it has none, as a run whose answers were not kept."""
    if side.root is not None:
        directory = RunDirectory(side.root)
        if not (directory.dataset.is_file() and directory.answers(side.place.name).is_file()):
            return None
    return side.examples() if side.examples is not None else None


def _parts_thinking(side: Side) -> bool:
    """Whether thinking was parted from a side's answers before they were scored."""
    return bool(side.run is not None or side.scored or side.own)


def _said(sides: Sequence[Side], shown: Sequence[Shown]) -> tuple[dict[str, str], dict[str, str]]:
    """Side to its answer to one row, and to the thinking that was parted from it."""
    answers, thinking = {}, {}
    for side, one in zip(sides, shown, strict=True):
        if one.answer is None:
            continue
        parted = part(one.answer, side.thinking) if _parts_thinking(side) else Parted(one.answer)
        if parted.answer is not None:
            answers[side.name] = parted.answer
        if parted.spans:
            thinking[side.name] = parted.thinking
    return answers, thinking


def _rows(
    prepared: Prepared, texts: Sequence[Mapping[str, Shown]], columns: Mapping[str, Mapping[str, Plain]]
) -> tuple[Row, ...]:
    """The rows that the baseline and any candidate have, in the baseline's order, each with what the sides have of it.

    Of a candidate they are then the very pairs that were compared, whatever the other candidates lack.
    """
    sides, of = prepared.sides, clusters(*prepared.sides)
    scores: list[Mapping[str, Score]] = [{score.id: score for score in side.scores} for side in sides]
    parts = cut_columns(columns).columns
    rows = []
    for row in scores[0]:
        if not any(row in of_side for of_side in scores[1:]):
            continue
        shown = [said.get(row, Shown()) if row in own else Shown() for said, own in zip(texts, scores, strict=True)]
        answers, thinking = _said(sides, shown)
        together = of(row) if of is not None else row
        rows.append(
            Row(
                row,
                next((one.question for one in shown if one.question), ""),
                next((one.reference for one in shown if one.reference), ""),
                answers,
                {side.name: own[row].values for side, own in zip(sides, scores, strict=True) if row in own},
                {name: label for name, column in parts.items() if (label := column.part_of.get(row)) is not None},
                question_id=together if together != row else "",
                thinking=thinking,
            )
        )
    return tuple(rows)


def _columns(sides: Sequence[Side], texts: Sequence[Mapping[str, Shown]]) -> dict[str, dict[str, Plain]]:
    """What the rows can be divided by: the lengths of question and reference, and what every side says alike of a row.

    A column in which the sides differ is no property of the question.
    """
    columns: dict[str, dict[str, Plain]] = {}
    for name in ("question", "reference"):
        # of what nel writes, the whole prompt stands in the question's place
        held = [shown for side, shown in zip(sides, texts, strict=True) if name == "reference" or not side.shown]
        known = {row: of for shown in reversed(held) for row, one in shown.items() if (of := getattr(one, name))}
        if known:
            columns[f"{name} words"] = {row: len(of.split()) for row, of in known.items()}
    told = [of for side in sides if (of := _told(side))]
    for name in dict.fromkeys(name for of in told[:1] for line in of.values() for name in line):
        values: list[dict[str, Plain]] = [{row: line.get(name) for row, line in of.items()} for of in told]
        if all(other.get(row, value) == value for other in values[1:] for row, value in values[0].items()):
            columns[name] = values[0]
    return columns


def _told(side: Side) -> dict[str, Mapping[str, Plain]]:
    """Id to the plain values that a side has of a question besides its texts and scores."""
    if side.lines:
        names = _NO_COLUMN | set(side.metrics)
        return {
            row: {name: of for name, of in line.items() if name not in names and isinstance(of, str | int | float)}
            for row, line in side.lines.items()
        }
    examples = None if side.run is None else _examples(side)
    return {example.answer.id: example.question.fields for example in examples or ()}


def _with_slices(
    confounds: Confounds, prepared: Prepared, comparison: Comparison, columns: Mapping[str, Mapping[str, Plain]]
) -> Confounds:
    if confounds.slices:
        return confounds
    before, *others = prepared.sides
    info, aggregates = prepared.metrics[comparison.primary], corpus_aggregates(prepared.metrics)
    slices = compare_slices(
        before.scores,
        {side.name: side.scores for side in others},
        info,
        columns,
        with_margins(prepared.settings, before.scores, prepared.metrics, aggregates),
        baseline_name=before.name,
        aggregate=aggregates.get(info.name),
        clusters=clusters(*prepared.sides),
    )
    return replace(confounds, slices=slices)


def _of_these(confounds: Confounds, comparison: Comparison) -> Confounds:
    """Without what a run knows of candidates that are not compared here."""
    names = comparison.candidates
    return replace(
        confounds,
        lengths=tuple(one for one in confounds.lengths if one.candidate in names),
        slices=tuple(one for one in confounds.slices if one.row.candidate in names),
        contributions=tuple(one for one in confounds.contributions if one.candidate in names),
        cuts=tuple(one for one in confounds.cuts if one.candidate in names),
        answers_changed={name: of for name, of in confounds.answers_changed.items() if name in names},
        leaks={name: of for name, of in confounds.leaks.items() if name in names},
        without_leaks={name: of for name, of in confounds.without_leaks.items() if name in names},
    )


def _facts(sides: Sequence[Side], command: str) -> dict[str, str]:
    facts = {"command": command}
    for place, side in enumerate(sides):
        facts["baseline" if place == 0 else f"candidate {side.name}"] = " · ".join(_made(side))
    return {**facts, "loralift": VERSION}


def _made(side: Side) -> Iterator[str]:
    """What a side is, and how it says it was asked; nothing that it does not say."""
    yield f"{side.place}, {side.kind}, {len(side.scores):,} rows"
    if side.place.is_file():
        with reading(side.place, RunDirectoryError), side.place.open("rb") as file:
            yield f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if side.run is not None:
        model, base = side.run["config"].get("model"), side.run["fingerprint"].get("base")
        yield f"base model {model} ({base})"
    said: dict[str, set[str]] = {}
    for known in side.documents.values():
        for key, value in known.items():
            if key in FIELDS and field_of(key) != DATA:
                said.setdefault(key, set()).add(value)
    for name, of in said.items():
        value = next(iter(of)) if len(of) == 1 else "not the same on every row"
        if value not in (GREEDY, NOTHING) and (name, value) != (DECODING, NONE):  # which nobody wrote down
            yield f"{name} {value}"


def _notes(sides: Sequence[Side], texts: Sequence[Mapping[str, Shown]]) -> Iterator[str]:
    """What a reader must know of the rows."""
    for after in sides[1:]:
        if (lone := unpaired(sides[0], after)) is not None:
            yield f"{lone}." if len(sides) == 2 else f"{after.name}: {lone}."
        if any(one.field == DATA for one in after.allowed):
            yield f"The data of {after.name} differ; the questions and references shown are those of {sides[0].name}."
    shown = [one for of in texts for one in of.values()]
    lacking = [f"no {name}s" for name in ("question", "reference") if not any(getattr(one, name) for one in shown)]
    if silent := [
        side.name for side, of in zip(sides, texts, strict=True) if all(shown.answer is None for shown in of.values())
    ]:
        lacking.append("no answers" if len(silent) == len(sides) else f"no answers of {some(silent)}")
    if lacking:
        yield f"The inputs hold {', '.join(lacking)}."
