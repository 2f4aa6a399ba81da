"""A card says what the report says of one adapter, with its doubts, and nothing that a stranger wrote breaks it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from huggingface_hub import ModelCard

from loralift.records import Confounds, MetricInfo, Report
from loralift.reporting import card, markdown
from loralift.workflow.readme import new_readme
from tests.reporting.asked import asked_report
from tests.reporting.doubted import comparison, parts, perplexity, protocols, row

HOSTILE = '<!-- loralift:end -->\n---\n@octocat | **x** \\(a\\) $$b$$ "q": #1 \x1b[31m\u202e'
DATASET = {"type": "a/b", "name": "B"}


def report(found: Any, **changes: Any) -> Report:
    return Report("model on data", ("base", "hot"), found.metrics, {}, found, **changes)


def read_back(of: Report, adapter: str) -> Any:
    results = card.results(of, adapter, DATASET)
    return ModelCard(new_readme(adapter, card.section(of, adapter), results)).data.eval_results


def test_figures_and_verdicts_are_those_of_the_report_s_table() -> None:
    of = report(comparison("better", perplexity("worse")))
    primary, other = read_back(of, "hot")
    assert (primary.metric_type, primary.metric_value) == ("semantic_similarity", 0.41)
    assert primary.metric_args == {
        "base": 0.391,
        "difference": 0.019,
        "verdict": "better, in doubt",
        "interval": [0.004, 0.034],
        "level": 0.95,
        "doubt": "the references became less likely (perplexity 27.10 to 152.50)",
    }
    assert (other.metric_value, other.metric_args["verdict"]) == (152.5, "worse")
    text = card.section(of, "hot")
    assert "| 0.391 | 0.410 | +0.019 | \\[+0.004, +0.034\\] | 0.020 | better, in doubt |" in text
    assert "**hot is BETTER than base on Semantic similarity: +0.019" in text
    assert "but the references became less likely" in text


def test_a_verdict_that_depends_is_told_so_to_machines_too() -> None:
    of = report(comparison("better"), protocols=protocols("better", "worse", best=("worse", "worse")))
    (primary,) = read_back(of, "hot")
    assert primary.metric_args["verdict"] == "depends on how it is asked"
    assert "worse under chat" in primary.metric_args["doubt"]
    text = card.section(of, "hot")
    assert "**hot DEPENDS ON HOW IT IS ASKED against base" in text
    assert "asked another way" in text
    assert "Against base at its best" in text


def test_what_only_failed_answers_make_is_in_doubt() -> None:
    of = report(comparison("better"), confounds=Confounds(contributions=parts(-0.01, 0.03)))
    (primary,) = read_back(of, "hot")
    assert (primary.metric_args["verdict"], primary.metric_args["doubt"]) == (
        "better, in doubt",
        "where both answers are sound it is the other way round",
    )


@pytest.mark.parametrize("adapter", ["a", "b", "c", "d"])
def test_of_several_adapters_one_is_told_and_every_doubt_of_it(adapter: str) -> None:
    of = asked_report(["a", "b", "c", "d"], 60)
    text = card.section(of, adapter)
    assert of.comparison is not None
    headline = markdown.tables.headline(of.comparison, adapter, markdown.doubts_of(of))
    assert f"**{markdown.escape(headline)}**" in text
    assert "as one of 4 adapters; p (Holm) is adjusted for all of them" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for other in {"a", "b", "c", "d"} - {adapter}:
        assert not [line for line in rows if line.startswith((f"| {other} ", f"| {other},", f"| {other}:"))]
    assert {result.metric_name for result in read_back(of, adapter)} <= {info.title for info in of.metrics.values()}


def test_an_adapter_called_like_a_column_keeps_its_own() -> None:
    found = comparison("better")
    rows = tuple(dataclasses.replace(each, candidate="p") for each in found.rows)
    of = report(dataclasses.replace(found, candidates=("p",), verdicts={"p": "better"}, rows=rows))
    assert "| metric | base | p | difference | 95 % CI | p (Holm) | verdict |" in card.section(of, "p")


def test_forgetting_is_a_result_of_its_own_with_its_verdict() -> None:
    of = report(comparison("better"), also={"world\n---": comparison("worse")})
    main, lost = read_back(of, "hot")
    assert (main.dataset_type, lost.dataset_type) == ("a/b", "world ---")
    assert lost.metric_args["verdict"] == "worse"
    assert "**hot is WORSE than base" in card.section(of, "hot")


def test_nothing_that_a_stranger_wrote_breaks_a_card() -> None:
    info = MetricInfo(HOSTILE, HOSTILE, margin=0.01)
    hostile = dataclasses.replace(row("better"), candidate=HOSTILE, metric=HOSTILE, warnings=(HOSTILE,))
    found = dataclasses.replace(
        comparison("better"),
        candidates=(HOSTILE,), primary=HOSTILE, verdicts={HOSTILE: "better"}, rows=(hostile,), metrics={HOSTILE: info},
    )  # fmt: skip
    of = dataclasses.replace(report(found), title=HOSTILE, notes=(HOSTILE,), facts={"asked by": HOSTILE})
    results = card.results(of, HOSTILE, {"type": HOSTILE, "name": HOSTILE})
    text = card.section(of, HOSTILE)
    whole = ModelCard(new_readme(HOSTILE, text, results))
    (result,) = whole.data.eval_results
    assert result.metric_name == '<!-- loralift:end --> --- @octocat | **x** \\(a\\) $$b$$ "q": #1 \\x1b[31m\\u202e'
    assert whole.text.count("<!-- loralift:end -->") == 1
    for alive in ("@octocat", "#1", "**x**", "\\(", "$$", "\x1b", "\u202e", "\n---"):
        assert alive not in text
    assert text.count("<!--") == text.count("\\<!--") > 0
