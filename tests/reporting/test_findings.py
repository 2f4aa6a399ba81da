from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from loralift.comparison import Settings, compare, summarise
from loralift.records import (
    AdapterProof,
    Comparison,
    Confounds,
    Contribution,
    Finding,
    Interval,
    Leak,
    LengthAdjustment,
    MetricComparison,
    MetricInfo,
    MetricSummary,
    NoiseFloor,
    Score,
    SliceComparison,
)
from loralift.reporting import formatting
from loralift.reporting.findings import MOST, findings
from loralift.reporting.forgetting import forgetting
from loralift.reporting.formatting import percent

INFOS = {
    "rougeL": MetricInfo("rougeL", "ROUGE-L", margin=0.01),
    "rouge1": MetricInfo("rouge1", "ROUGE-1", margin=0.01),
    "bleu": MetricInfo("bleu", "BLEU", high=100.0, margin=0.5, decimals=2),
    "ppl": MetricInfo("ppl", "Perplexity", high=None, higher_is_better=False, decimals=2),
    "answer_words": MetricInfo("answer_words", "Words", high=None, higher_is_better=None, unit="words", decimals=1),
    "truncated": MetricInfo("truncated", "Cut off", higher_is_better=None),
    "empty": MetricInfo("empty", "Empty", higher_is_better=None),
}
N = 120


def scores(seed: int, *, gain: float = 0.0, bleu: float = 0.0, cut: int = 0, rows: int = N) -> list[Score]:
    draw = random.Random(seed)
    return [
        Score(
            str(i),
            {
                "rougeL": 0.2 + (i % 9) / 50 + gain + draw.gauss(0, 0.02),
                "rouge1": 0.3 + (i % 7) / 50 + gain + draw.gauss(0, 0.02),
                "bleu": 20 + i % 5 + bleu + draw.gauss(0, 0.5),
                "ppl": 9 + i % 3 - 10 * gain + draw.gauss(0, 0.2),
                "answer_words": 40.0 - i % 4,
                "truncated": float(i < cut),
                "empty": 0.0,
            },
        )
        for i in range(rows)
    ]


SIDES = {
    "base": scores(1, cut=2),
    "up": scores(2, gain=0.021, bleu=-1.0, cut=30),
    "down": scores(3, gain=-0.05)[:100],
    "same": scores(4, gain=0.001),
    "unclear.v2": scores(5, gain=0.006, rows=30),
}


def compared(candidate: str, **changes: Any) -> Comparison:
    found = compare("base", SIDES["base"], {candidate: SIDES[candidate]}, INFOS, Settings("rougeL", resamples=500))
    return dataclasses.replace(found, **changes)


def summarised(candidate: str) -> dict[str, dict[str, MetricSummary]]:
    return {v: {name: summarise(SIDES[v], info) for name, info in INFOS.items()} for v in ("base", candidate)}


def primary(comparison: Comparison) -> MetricComparison:
    return next(row for row in comparison.rows if row.metric == "rougeL")


def part(comparison: Comparison, name: str, difference: float, verdict: Any) -> SliceComparison:
    interval = Interval(difference - 0.005, difference + 0.005, 0.95, "t")
    row = dataclasses.replace(primary(comparison), difference=difference, interval=interval, verdict=verdict, n=60)
    return SliceComparison("question words", name, row)


def length(of: str, **changes: Any) -> LengthAdjustment:
    known = LengthAdjustment("rougeL", of, 0.021, 0.007, Interval(-0.002, 0.016, 0.95, "HC3 t"), 2 / 3, 40.4, 25.1)
    return dataclasses.replace(known, **changes)


def doubts(candidate: str, comparison: Comparison) -> tuple[Confounds, tuple[AdapterProof, ...]]:
    """Every kind of doubt at once."""
    without = dataclasses.replace(primary(comparison), difference=0.004, verdict="inconclusive")
    confounds = Confounds(
        lengths=(length("another"), length(candidate)),
        slices=(part(comparison, "up to 9", -0.03, "worse"), part(comparison, "10 or more", 0.05, "better")),
        noise=(NoiseFloor("rougeL", N, 0.001, 0.5), NoiseFloor("bleu", N, 0.1, 0.2)),
        answers_changed={candidate: 0.0213},
        leaks={candidate: (Leak("1", "question", "exact", 1.0, 4), Leak("1", "reference", "near", 0.8, 4))},
        without_leaks={candidate: without},
        contributions=(Contribution(candidate, "both sound", 80, 2 / 3, -0.006, Interval(-1, 1, 0.95, "t")),),
    )
    note = "The tokenizer differs from the one of the training: 2 tokens more."
    return confounds, (AdapterProof("another", 8, 1.0, 2.0, 0.5), AdapterProof(candidate, 8, 4e-5, 9e-5, 0.0, (note,)))


def sentences(found: tuple[Finding, ...]) -> str:
    return "\n".join(f"{finding.severity}: {finding.text}" for finding in found)


def spelled(value: float | str) -> set[str]:
    """How a figure may stand in a sentence, without its sign."""
    if isinstance(value, str):
        return set()
    spelled = {formatting.value(abs(value), info) for info in INFOS.values()}
    small = f"{Decimal(f'{value:.2g}'):f}"
    return spelled | {f"{value:,}", f"{abs(value):.1f}", percent(value).removesuffix(" %"), small}


def untraced(finding: Finding) -> list[str]:
    """The numbers in a sentence that are none of its figures."""
    text = finding.text
    words = [value for value in finding.figures.values() if isinstance(value, str)]
    for word in sorted([*words, *SIDES, *(info.title for info in INFOS.values())], key=len, reverse=True):
        text = text.replace(word, "")
    written = re.findall(r"\d(?:[\d.,]*\d)?", text)
    known = {form for value in finding.figures.values() for form in spelled(value)}
    return [number for number in written if number not in known]


def evaluated(figures: Mapping[str, float | str], scope: dict[str, Any]) -> dict[str, float | str]:
    return {expression: eval(expression, {}, scope) for expression in figures}


@pytest.mark.parametrize("candidate", ["up", "down", "same", "unclear.v2"])
@pytest.mark.parametrize("doubtful", [True, False])
def test_every_number_of_every_sentence_is_a_figure_and_every_figure_is_where_it_says(
    candidate: str, doubtful: bool
) -> None:
    comparison, summaries = compared(candidate), summarised(candidate)
    confounds, proofs = doubts(candidate, comparison) if doubtful else (Confounds(), ())
    found = findings(comparison, summaries, confounds, proofs)
    scope = {"rows": comparison.rows, "alpha": comparison.alpha, "confounds": confounds}
    scope |= {"summaries": summaries, "proofs": proofs}
    assert len(found) >= (6 if doubtful else 1)
    for finding in found:
        assert finding.figures, finding.text
        assert evaluated(finding.figures, scope) == finding.figures
        assert untraced(finding) == [], finding.text
        assert "-" not in re.sub(r"[A-Za-z]-\w", "", finding.text), "a hyphen is no minus sign"
        assert finding.text.endswith(".")
        assert finding.candidate == candidate
    assert len({finding.text for finding in found}) == len(found)


def test_the_tracing_finds_a_number_from_nowhere() -> None:
    assert untraced(Finding("up rose by 0.021 to 0.3 on 1,200 rows.", {"a": 0.0212, "b": 1200})) == ["0.3"]


def test_a_better_candidate_is_said_with_what_puts_it_in_doubt() -> None:
    comparison = compared("up")
    confounds, proofs = doubts("up", comparison)
    found = findings(comparison, summarised("up"), confounds, proofs)
    row, text = primary(comparison), sentences(found)
    info = INFOS["rougeL"]
    moved = f"rose by {formatting.value(row.difference, info)} {formatting.interval(row.interval, info)}, from"
    assert found[0].text.startswith(f"up is better than base: ROUGE-L {moved}")
    assert (
        "warning: 1 question or its reference stands in the training data given, in whole or nearly; without it up's"
        in text
    )
    assert "the verdict is no longer better, but inconclusive" in text
    shorter = (
        "warning: up's answers are 38 % shorter (25.1 words on average, not 40.4); about two thirds of the difference"
    )
    assert f"{shorter} in ROUGE-L goes with length" in text
    assert "at equal length it would be +0.007 [−0.002, +0.016]" in text
    assert "warning: 25 % of up's answers were cut off at the limit of new tokens, against 1.7 % of base's." in text
    assert "warning: up is worse on BLEU, although better on ROUGE-L: BLEU fell by" in text
    assert "warning: up is worse where question words is up to 9, −0.030 [−0.035, −0.025] on 60 rows, although" in text
    assert (
        "warning: 120 questions asked again moved the base's ROUGE-L by +0.001; up to 0.500 cannot be excluded" in text
    )
    assert "warning: Only 2.1 % of up's answers differ from base's at all." in text
    assert "up hardly acts: at the answer's first token, on 8 prompts, the distribution moves by 0.00004 nats" in text
    assert "warning: up: The tokenizer differs from" in text
    assert "are empty" not in text


def test_warnings_stand_before_the_rest_and_the_verdict_before_all() -> None:
    comparison = compared("up")
    found = findings(comparison, {}, *doubts("up", comparison))
    severities = [finding.severity for finding in found]
    assert severities[0] == "info"
    assert severities[1:] == sorted(severities[1:], reverse=True)
    assert 6 <= len(found) <= MOST


def test_without_doubts_there_are_no_warnings_but_losses() -> None:
    found = findings(compared("up"), summarised("up"), Confounds())
    assert "info: ROUGE-1 and Perplexity agree with ROUGE-L: up is better there too." in sentences(found)
    assert [f.text.split(":")[0] for f in found if f.severity == "warning"] == [
        "up is worse on BLEU, although better on ROUGE-L",
        "25 % of up's answers were cut off at the limit of new tokens, against 1.7 % of base's.",
    ]


def test_a_worse_candidate_and_the_rows_that_were_left_out() -> None:
    text = sentences(findings(compared("down"), {}, Confounds()))
    assert "info: down is worse than base: ROUGE-L fell by 0.05" in text
    assert "warning: 20 rows of down or base are left out: 20 only in the baseline." in text
    assert "agree with ROUGE-L: down is worse there too." in text


def test_an_equivalent_candidate() -> None:
    first = findings(compared("same"), {}, Confounds())[0].text
    assert first.startswith("same is equivalent to base: ROUGE-L differs by ")
    assert first.endswith(" lies inside the margin of ±0.010.")


def test_an_undecided_candidate_says_what_would_have_been_found_and_what_it_would_take() -> None:
    comparison = compared("unclear.v2")
    row = dataclasses.replace(primary(comparison), minimum_detectable_effect=0.012, rows_needed=1900, difference=0.004)
    row = dataclasses.replace(row, verdict="inconclusive", n=648)
    rows = tuple(row if each.metric == "rougeL" else each for each in comparison.rows)
    found = findings(dataclasses.replace(comparison, rows=rows), {}, Confounds())
    assert found[0].text.startswith(
        "Whether unclear.v2 is better or worse than base is undecided: ROUGE-L differs by +0.0"
    )
    assert (
        "648 rows find a difference in ROUGE-L four times in five only if it is 0.012 or more; one of 0.004, as seen "
        "here, would take 1,900. That is of an unadjusted test at 5 %; after the adjustment for all that was "
        "compared it takes more."
    ) in [finding.text for finding in found]


@pytest.mark.parametrize(
    ("changes", "said", "severity"),
    [
        (
            {"explained": 0.3, "adjusted": 0.0147},
            "; about a third of the difference in ROUGE-L goes with length",
            "info",
        ),
        (
            {"explained": 0.01, "adjusted": 0.0208},
            "; next to nothing of the difference in ROUGE-L goes with length",
            "info",
        ),
        ({"explained": 1.0, "adjusted": 0.0}, "; all of the difference in ROUGE-L goes with length", "warning"),
        ({"explained": -0.5, "adjusted": 0.0315}, "would be larger: +0.032 [", "info"),
        ({"explained": None, "adjusted": -0.004}, "at equal length the difference in ROUGE-L turns: −0.004", "warning"),
        ({"explained": None, "adjusted": None, "interval": None}, "cannot be told", "warning"),
        ({"explained": None, "adjusted": 0.02}, "38 % shorter (25.1 words on average, not 40.4).", "info"),
        ({"words_candidate": 80.8}, "answers are 100 % longer (80.8 words", "warning"),
        ({"words_candidate": 40.5, "explained": 0.1}, None, None),
        ({"candidate": "another"}, None, None),
    ],
)
def test_length_says_as_much_as_it_knows(changes: dict[str, Any], said: str | None, severity: str | None) -> None:
    found = findings(compared("up"), {}, Confounds(lengths=(length("up", **changes),)))
    about = [finding for finding in found if "words on average" in finding.text]
    assert [finding.severity for finding in about] == ([severity] if severity else [])
    assert all(said is not None and said in finding.text for finding in about)


def test_a_leak_that_changes_nothing_is_no_warning() -> None:
    comparison = compared("up")
    leaks = {"up": (Leak("1", "question", "exact", 1.0, 4),)}
    harmless = Confounds(leaks=leaks, without_leaks={"up": primary(comparison)})
    (finding,) = (f for f in findings(comparison, {}, harmless) if "training data" in f.text)
    assert (finding.severity, "the verdict stays the same" in finding.text) == ("info", True)
    (finding,) = (f for f in findings(comparison, {}, Confounds(leaks=leaks)) if "training data" in f.text)
    assert (finding.severity, "no comparison of up without it" in finding.text) == ("warning", True)


@pytest.mark.parametrize(
    ("candidate", "floor", "said"),
    [("up", 0.03, True), ("up", 0.01, False), ("up", 0.0, False), ("down", 0.06, True), ("same", 0.5, False)],
)
def test_noise_is_said_of_a_verdict_inside_a_floor_above_0_only(candidate: str, floor: float, said: bool) -> None:
    confounds = Confounds(noise=(NoiseFloor("rougeL", 64, 0.001, floor),))
    about = [f for f in findings(compared(candidate), {}, confounds) if "asked again" in f.text]
    assert [finding.severity for finding in about] == ["warning"] * said
    for finding in about:
        assert finding.text.startswith("64 questions asked again moved the base's ROUGE-L by +0.001; up to 0.0")
        assert "rows compared these are few, which makes that bound wide." in finding.text
        assert finding.figures["confounds.noise[0].n"] == 64
        assert untraced(finding) == []


@pytest.mark.parametrize("changes", [{"verdict": "inconclusive"}, {"difference": None}])
def test_noise_is_not_said_without_a_verdict_or_a_difference(changes: dict[str, Any]) -> None:
    comparison = compared("up")
    row = dataclasses.replace(primary(comparison), **changes)
    rows = tuple(row if each.metric == "rougeL" else each for each in comparison.rows)
    confounds = Confounds(noise=(NoiseFloor("rougeL", 64, 0.001, 0.5),))
    found = findings(dataclasses.replace(comparison, rows=rows), {}, confounds)
    assert "asked again" not in sentences(found)


def test_every_number_of_what_was_forgotten_is_a_figure_of_the_further_comparison() -> None:
    others = {name: side for name, side in SIDES.items() if name != "base"}
    comparison = compare("base", SIDES["base"], others, INFOS, Settings("rouge1", resamples=500))
    nothing = MetricComparison("rouge1", "base", "same", 0, 120, None, None, None, verdict="inconclusive")
    rows = tuple(nothing if (r.candidate, r.metric) == ("same", "rouge1") else r for r in comparison.rows)
    empty = dataclasses.replace(comparison, rows=rows, verdicts={**comparison.verdicts, "same": "inconclusive"})
    also = {"opinions": comparison, "Bob's 2": empty}
    for name in also:
        found = forgetting(name, also[name])
        assert len(found) == len(others)
        for finding in found:
            assert evaluated(finding.figures, {"also": also}) == finding.figures
            assert untraced(dataclasses.replace(finding, text=finding.text.replace(name, ""))) == [], finding.text
    down = next(finding for finding in forgetting("opinions", comparison) if finding.text.startswith("down"))
    at = [(row.candidate, row.metric) for row in comparison.rows].index(("down", "rouge1"))
    assert (down.severity, down.candidate) == ("warning", "down")
    assert down.text.startswith("down forgot: on opinions it is worse than base, by ROUGE-1: −0.0")
    assert down.text.endswith("] over 100 questions.")
    assert down.figures[f"also['opinions'].rows[{at}].difference"] == comparison.rows[at].difference


def test_parts_that_lie_apart_are_named_and_those_that_do_not_are_not() -> None:
    comparison = compared("up")
    apart = (part(comparison, "few", 0.01, "inconclusive"), part(comparison, "many", 0.04, "better"))
    close = (part(comparison, "few", 0.03, "inconclusive"), part(comparison, "many", 0.035, "better"))
    said, unsaid = (sentences(findings(comparison, {}, Confounds(slices=slices))) for slices in (apart, close))
    few = "where question words is few, +0.010 [+0.005, +0.015] on 60 rows; where"
    assert f"looks different on parts of the rows (exploratory, the only contrast): {few}" in said
    assert "exploratory" not in unsaid


def test_two_parts_that_lie_apart_are_said_to_be_picked_of_many() -> None:
    comparison = compared("up")
    parts = [part(comparison, f"part {n}", 0.01 * n, "inconclusive") for n in (1, 2, 4)]
    others = [dataclasses.replace(each, column="topic") for each in parts[:2]]
    confounds = Confounds(slices=(*parts, *others))
    (finding,) = (f for f in findings(comparison, {}, confounds) if "exploratory" in f.text)
    assert "(exploratory, the largest of 4 contrasts): where question words is part 1" in finding.text
    assert evaluated(finding.figures, {"rows": comparison.rows, "confounds": confounds}) == finding.figures
    assert untraced(finding) == []


@pytest.mark.parametrize(("changed", "said"), [({"up": 0.01}, True), ({"up": 0.9}, False), ({}, False)])
def test_a_first_token_that_hardly_moves_is_said_only_where_answers_hardly_change(
    changed: dict[str, float], said: bool
) -> None:
    proofs = (AdapterProof("up", 8, 4e-5, 9e-5, 0.0),)
    found = findings(compared("up"), {}, Confounds(answers_changed=changed), proofs)
    assert ("hardly acts" in sentences(found)) == said


def test_flags_come_from_the_summaries_where_they_were_not_compared() -> None:
    comparison = compared("up")
    rows = tuple(row for row in comparison.rows if row.metric != "truncated")
    comparison = dataclasses.replace(comparison, rows=rows)
    (finding,) = (f for f in findings(comparison, summarised("up"), Confounds()) if "cut off" in f.text)
    assert finding.figures == {
        "summaries['up']['truncated'].value": 0.25,
        "summaries['base']['truncated'].value": pytest.approx(2 / 120),
    }
    assert not [f for f in findings(comparison, {}, Confounds()) if "cut off" in f.text]


def test_a_candidate_without_a_pair_is_said_to_have_none() -> None:
    comparison = compared("up")
    nothing = MetricComparison("rougeL", "base", "up", 0, 120, None, None, None, verdict="inconclusive")
    rows = tuple(nothing if row.metric == "rougeL" else row for row in comparison.rows)
    found = findings(dataclasses.replace(comparison, rows=rows), {}, Confounds())
    assert found[0].text == "up cannot be compared with base on ROUGE-L: there is no difference to judge."


def test_every_candidate_has_its_own_sentences() -> None:
    pair = {name: SIDES[name] for name in ("up", "down")}
    comparison = compare("base", SIDES["base"], pair, INFOS, Settings("rougeL", resamples=500))
    found = findings(comparison, {}, Confounds())
    verdicts = [finding.text.split(":")[0] for finding in found if " than base" in finding.text]
    assert verdicts == ["up is better than base", "down is worse than base"]
    assert all(("up" in f.text) != ("down" in f.text) for f in found)


def test_percentages_are_never_rounded_to_nothing() -> None:
    assert [percent(x) for x in (0.38, -0.38, 0.004, 0.0, 1.0, 0.0996)] == [
        "38 %",
        "38 %",
        "0.4 %",
        "0 %",
        "100 %",
        "10 %",
    ]
