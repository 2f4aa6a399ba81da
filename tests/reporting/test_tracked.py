"""What a tracker is given: every figure that there is, none that there is not, and verdicts with their doubts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loralift.records import MetricInfo, Report
from loralift.reporting.tracked import Names, tracked
from tests.reporting.asked import CHAT, asked_report
from tests.reporting.doubted import comparison, perplexity, protocols
from tests.reporting.many import report_of


@pytest.fixture(scope="module")
def asked() -> Report:
    return asked_report(("up", "down"), 40)


def test_every_variant_has_the_same_names_with_intervals(asked: Report) -> None:
    made = tracked(asked)
    base, up, down = made.variants
    optional = {name for name in {*up.figures, *down.figures} if name.endswith("/effect_size")}  # without spread: none
    assert set(up.figures) - optional == set(down.figures) - optional
    assert {name for name in up.figures if "/value" in name} == {name for name in base.figures if "/value" in name}
    row = next(row for row in asked.comparison.rows if (row.candidate, row.metric) == ("up", "f1"))
    assert up.figures["f1/difference"] == row.difference
    assert up.figures["f1/difference_low"] == row.interval.low
    assert up.figures["f1/p_adjusted"] == row.p_adjusted
    assert up.figures["f1/value"] == asked.summaries["up"]["f1"].value
    under = next(row for row in asked.protocols.results[1].rows if row.candidate == "up")
    assert up.figures["protocols/chat _i__so___i_/f1/difference"] == under.difference != row.difference
    assert CHAT not in "".join(up.figures)
    assert all(math.isfinite(value) for run in (made.whole, *made.variants) for value in run.figures.values())
    table = made.whole.tables["comparison"]
    assert len(table.rows) == len(asked.comparison.rows)
    assert {len(table.columns)} == set(map(len, table.rows))


def test_verdicts_are_told_with_their_doubts() -> None:
    found = comparison("better", perplexity("worse"))
    report = Report(
        "model on data",
        ("base", "hot"),
        found.metrics,
        {"base": {}, "hot": {}},
        found,
        refused={"dead": "it acts on nothing"},
    )
    made = tracked(report)
    assert made.whole.words["verdict/hot"] == made.variants[1].words["verdict"] == "better, in doubt"
    assert "but the references became less likely" in made.whole.words["headline/hot"]
    assert made.variants[1].words["verdict/perplexity"] == "worse"
    assert made.whole.words["verdict/dead"] == "refused: it acts on nothing"
    depends = tracked(replace(report, protocols=protocols("better", "worse")))
    assert depends.variants[1].words["verdict"] == "depends on how it is asked"
    assert depends.variants[1].words["verdict/protocols/chat/semantic_similarity"] == "worse"


def test_what_has_no_value_is_left_out_and_said() -> None:
    report = report_of(("up",), 40)
    summary = replace(report.summaries["up"]["ppl"], value=None, interval=None, reasons={"no tokens": 40})
    rows = tuple(
        replace(row, difference=None, interval=None, verdict=None) if row.metric == "ppl" else row
        for row in report.comparison.rows
    )
    broken = replace(
        report,
        summaries={**report.summaries, "up": {**report.summaries["up"], "ppl": summary}},
        comparison=replace(report.comparison, rows=rows),
    )
    made = tracked(broken)
    up = made.variants[1]
    assert not {"ppl/value", "ppl/difference", "ppl/value_low"} & set(up.figures)
    assert "verdict/ppl" not in up.words
    assert "ppl of up: no tokens" in made.left_out
    assert any(sentence.startswith("difference in ppl of up: ") for sentence in made.left_out)


def test_names_are_told_apart_and_changes_are_said() -> None:
    names = Names()
    given = [names.metric(name) for name in ("a/b", "a:b", "A?B", "_x", "..", "", "é 1.5-x", "a/b")]
    assert given == ["a_b", "a_b.2", "A_B.3", "x", "unnamed", "unnamed.2", "é 1.5-x", "a_b"]
    assert names.variant("a:b") == "a_b"
    assert len(list(names.changed())) == 7
    assert max(map(len, (names.metric("m" * 500), names.metric("\x1b" * 501)))) < 130


def test_the_key_is_that_of_what_was_found() -> None:
    report = report_of(("up",), 40)
    report = replace(report, facts={"data": "a.jsonl", "began": "today", "time": "1 s"})
    key = tracked(report).key
    assert tracked(replace(report, facts={"data": "a.jsonl", "began": "tomorrow"})).key == key
    assert tracked(replace(report, facts={"data": "b.jsonl"})).key != key
    assert tracked(replace(report, refused={"dead": "why"})).key != key


def test_a_base_alone_has_figures_and_no_verdict() -> None:
    report = report_of(("up",), 40)
    made = tracked(replace(report, variants=("base",), comparison=None))
    assert made.variants[0].figures["f1/value"] == report.summaries["base"]["f1"].value
    assert (made.whole.words, made.variants[0].words) == ({}, {})


def test_long_and_hostile_texts_are_one_visible_line() -> None:
    info = {"m": MetricInfo("m", "M")}
    report = Report("t\x1b[31m\n" * 400, ("base",), info, {"base": {}}, facts={"prompt\u202e": "p\n" * 9_000})
    whole = tracked(report).whole
    for text in (whole.name, *whole.settings, *whole.settings.values()):
        assert len(text) < 500
        assert not {"\n", "\x1b", "\u202e"} & set(text)
