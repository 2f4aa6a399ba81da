"""A report as runs in an experiment tracker: one for the whole, and one a variant, so that a tracker can compare them.

Every name is `metric/what`, the same in every variant's run: `rougeL/value` of two adapters stand in one chart, also of
adapters of different evaluations. What has no value is left out and said: 0, NaN or nothing would all be taken for one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from loralift.errors import some
from loralift.records import Comparison, Export, MetricComparison, MetricSummary, Report, TrackedRun, TrackedTable
from loralift.reporting import judging, matrices, tables
from loralift.reporting.doubts import Doubt, doubts, doubts_of, strongest
from loralift.reporting.sweep import sweep_table
from loralift.visible import clipped, one_line

MOST_OF_A_NAME = 60
"""Characters of each part of a figure's name: MLflow allows 250 in all."""

MOST_OF_A_SETTING, MOST_OF_WORDS = 420, 4_000
"""Characters of a value: MLflow's servers of some years ago allow 500 of a param, 5,000 of a tag."""

PASSING = ("command", "began", "time", "machine", "git revision of the working directory")
"""Facts in which two runs of the same may differ."""

_FORBIDDEN = re.compile(r"[^\w. -]")

COLUMNS = (
    *("candidate", "metric", "baseline_value", "candidate_value", "difference", "low", "high", "level"),
    *("p_value", "p_adjusted", "effect_size", "pairs", "dropped", "verdict"),
)


def plain_name(name: str) -> str:
    """A part of a figure's name with nothing in it that a tracker refuses.

    >>> plain_name("_F1: 50 %"), plain_name("..")
    ('F1_ 50 _', 'unnamed')
    """
    # what begins with _ is W&B's and Trackio's own, and a part of dots alone would be a folder
    return _FORBIDDEN.sub("_", line(name, MOST_OF_A_NAME)).lstrip("_. ").rstrip() or "unnamed"


def line(text: str, most: int = MOST_OF_A_SETTING) -> str:
    """A text on one line; with its escapes, and with what says how much is left out, at most 60 characters more."""
    return clipped(one_line(text, most), most + 30)


@dataclass(slots=True)
class Names:
    """Names as every tracker takes them; of one kind no two are alike.

    Attributes:
        given: Kind and name to what that is called in a tracker.
    """

    given: dict[tuple[str, str], str] = field(default_factory=dict)

    def metric(self, name: str) -> str:
        """What a metric is called."""
        return self._called("metric", name)

    def variant(self, name: str) -> str:
        """What a variant is called."""
        return self._called("variant", name)

    def other(self, name: str) -> str:
        """What a fact, a protocol, a data set or a judge is called."""
        return self._called("", name)

    def _called(self, kind: str, name: str) -> str:
        if (kind, name) not in self.given:
            plain = plain_name(name)
            # databases tell keys apart without regard to case
            taken = {called.casefold() for (of, _), called in self.given.items() if of == kind}
            numbered = (plain if number == 1 else f"{plain}.{number}" for number in count(1))
            self.given[kind, name] = next(called for called in numbered if called.casefold() not in taken)
        return self.given[kind, name]

    def changed(self) -> Iterator[str]:
        """A sentence on each metric and variant that is called otherwise in the tracker."""
        for (kind, name), called in self.given.items():
            if kind and name != called:
                yield f"the {kind} {one_line(name, MOST_OF_A_NAME)} is called {called}: not all trackers take its name"


def tracked(report: Report) -> Export:
    """A report as runs in a tracker, still without its files.

    Args:
        report: Of a run or of a comparison.
    """
    names, left_out = Names(), list[str]()
    against = strongest(doubts_of(report))
    variants = tuple(_variant(report, name, names, against.get(name), left_out) for name in report.variants)
    whole = _whole(report, names, against)
    found = [[run.name, dict(run.figures), dict(run.words)] for run in (whole, *variants)]
    steady = {label: fact for label, fact in report.facts.items() if label not in PASSING}
    document = json.dumps([report.title, found, steady], sort_keys=True, allow_nan=False)
    key = hashlib.sha256(document.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    return Export(key, whole, variants, (*left_out, *names.changed()))


def _whole(report: Report, names: Names, against: Mapping[str, Doubt]) -> TrackedRun:
    comparison, figures, words = report.comparison, dict[str, float](), dict[str, str]()
    if comparison is not None:
        for name in comparison.candidates:
            row, called = tables.primary_row(comparison, name), names.variant(name)
            figures |= _finite(_of_row(f"{called}/{names.metric(row.metric)}", row))
            words[f"verdict/{called}"] = matrices.words_in_doubt(comparison, row, against.get(name))
            words[f"headline/{called}"] = tables.headline(comparison, name, doubts_of(report))
    words |= {f"verdict/{names.variant(name)}": f"refused: {why}" for name, why in report.refused.items()}
    for place, (_, sentence) in enumerate(judging.judge_sentences(report), start=1):
        words[f"judges/{place}"] = sentence
    # its own name, too: a run that was followed had another before
    settings = {"evaluation": report.title, **{names.other(label): fact for label, fact in report.facts.items()}}
    title = line(report.title)
    return TrackedRun(title, _lines(settings), figures, _lines(words, MOST_OF_WORDS), _tables(report))


def _variant(report: Report, name: str, names: Names, doubt: Doubt | None, left_out: list[str]) -> TrackedRun:
    figures, words = dict[str, float | None](), dict[str, str]()
    for metric, summary in report.summaries.get(name, {}).items():
        figures |= _of_summary(names.metric(metric), summary)
        if summary.value is None:
            left_out.append(f"{metric} of {name}: {some(summary.reasons) or 'no row could be scored'}")
    for prefix, comparison, of_doubt in _comparisons(report, names, name, doubt):
        for row in (row for row in comparison.rows if row.candidate == name):
            called = prefix + names.metric(row.metric)
            figures |= _of_row(called, row)
            if row.difference is None:
                left_out.append(f"difference in {called} of {name}: {some(row.unscored) or 'no pair could be scored'}")
            elif row.verdict is not None:
                said = of_doubt if row.metric == comparison.primary else None
                words[f"verdict/{called}"] = matrices.words_in_doubt(comparison, row, said)
    for judge in report.judging.judges if report.judging else ():
        for judged in (judged for judged in judge.judged if judged.row.candidate == name):
            figures |= _of_row(f"judges/{names.other(judge.name)}/preference", judged.row)
    if report.comparison is not None and name in report.comparison.candidates:
        row = tables.primary_row(report.comparison, name)
        words |= {
            "verdict": matrices.words_in_doubt(report.comparison, row, doubt),
            "decides": names.metric(row.metric),
        }
    settings = _lines({"variant": name, "evaluation": report.title, **_own_facts(report, name)})
    return TrackedRun(line(name), settings, _finite(figures), _lines(words, MOST_OF_WORDS))


def _comparisons(
    report: Report, names: Names, candidate: str, doubt: Doubt | None
) -> Iterator[tuple[str, Comparison, Doubt | None]]:
    """Each comparison of the report with what its names begin with and the strongest doubt about the candidate."""
    if report.comparison is None:
        return
    yield "", report.comparison, doubt
    for result in report.protocols.results[1:] if report.protocols else ():
        yield f"protocols/{names.other(result.protocol.name)}/", replace(report.comparison, rows=result.rows), None
    for name, further in report.also.items():
        yield f"also/{names.other(name)}/", further, strongest(doubts(further)).get(candidate)


def _of_summary(name: str, summary: MetricSummary) -> dict[str, float | None]:
    interval = summary.interval
    return {
        f"{name}/value": summary.value,
        **({f"{name}/value_low": interval.low, f"{name}/value_high": interval.high} if interval else {}),
        f"{name}/rows": summary.n,
        f"{name}/unscored": summary.unscored,
    }


def _of_row(name: str, row: MetricComparison) -> dict[str, float | None]:
    interval = row.interval
    return {
        f"{name}/difference": row.difference,
        **({f"{name}/difference_low": interval.low, f"{name}/difference_high": interval.high} if interval else {}),
        **({} if row.p_value is None else {f"{name}/p_value": row.p_value}),
        **({} if row.p_adjusted is None else {f"{name}/p_adjusted": row.p_adjusted}),
        **({} if row.effect_size is None else {f"{name}/effect_size": row.effect_size}),
        f"{name}/pairs": row.n,
    }


def _own_facts(report: Report, name: str) -> dict[str, str]:
    """Facts about one variant."""
    base = report.comparison.baseline if report.comparison else report.variants[0]
    labels = ("base model", "baseline") if name == base else (f"adapter {name}", f"candidate {name}")
    return {label.split()[0]: report.facts[label] for label in labels if label in report.facts}


def _tables(report: Report) -> dict[str, TrackedTable]:
    """The comparison in numbers, and the report's other tables as it shows them."""
    comparison = report.comparison
    made = [tables.summary_table(report), tables.description_table(report), tables.proofs_table(report)]
    if comparison is not None:
        made += [sweep_table(report), tables.ranking_table(comparison), *matrices.asked_tables(report)]
        made += [*judging.judging_tables(report), tables.contributions_table(report), tables.slices_table(report)]
    shown = {_slug(table.title): TrackedTable(table.columns, table.rows) for table in made if table.rows}
    if comparison is None:
        return shown
    rows = tuple(_numbers(row) for row in comparison.rows)
    return {"comparison": TrackedTable(COLUMNS, rows), **shown}


def _numbers(row: MetricComparison) -> tuple[str | float | None, ...]:
    interval = (None, None, None) if row.interval is None else (row.interval.low, row.interval.high, row.interval.level)
    values = (row.baseline_value, row.candidate_value, row.difference, *interval, row.p_value, row.p_adjusted)
    return (row.candidate, row.metric, *values, row.effect_size, row.n, row.dropped, row.verdict)


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title.casefold())[:MOST_OF_A_NAME].strip("-")


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if value is not None and math.isfinite(value)}


def _lines(values: Mapping[str, str], most: int = MOST_OF_A_SETTING) -> dict[str, str]:
    return {name: line(value, most) for name, value in values.items()}
