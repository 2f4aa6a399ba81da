"""What speaks against a verdict is said with it, the strongest first, and against nothing else."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loralift.errors import MOST_CHARACTERS
from loralift.records import AllowedDifference, Confounds, Leak, LengthAdjustment, Protocols
from loralift.reporting import tables
from loralift.reporting.doubts import RANKED, Doubt, doubts, strongest
from loralift.reporting.terminal import print_comparison
from tests.reporting.doubted import comparison, cut, loops, parts, perplexity, protocols, row, unfinished

ALLOWED = {"hot": (AllowedDifference("stop", "none", '["\\n"]'), AllowedDifference("max_new_tokens", "64", "256"))}
LEAKS = {"hot": (Leak("1", "question", "exact", 1.0, 4), Leak("1", "reference", "exact", 1.0, 4))}


def leaked(verdict: Any) -> Confounds:
    return Confounds(leaks=LEAKS, without_leaks={"hot": row(verdict, 0.004)})


def length(**changes: Any) -> Confounds:
    known = LengthAdjustment("semantic_similarity", "hot", 0.019, 0.006, None, 0.7, 40.0, 50.0)
    return Confounds(lengths=(dataclasses.replace(known, **changes),))


def kinds(verdict: Any, *rows: Any, confounds: Confounds | None = None, asked: Protocols | None = None) -> list[str]:
    return [doubt.kind for doubt in doubts(comparison(verdict, *rows), confounds, asked)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (protocols("better", "worse"), {"better": ["depends"], "worse": ["depends"], "inconclusive": ["depends"]}),
        (protocols("better", "equivalent"), {"better": ["depends"]}),
        (protocols("better", "inconclusive"), {"better": []}),
        (protocols("better", "better"), {"better": [], "worse": ["depends"]}),
        (protocols("inconclusive", "worse"), {"inconclusive": ["elsewhere"], "better": ["depends"]}),
        (protocols("inconclusive", "better"), {"inconclusive": []}),
        (protocols("inconclusive", "better", "worse"), {"inconclusive": ["depends"]}),
        (protocols("worse", "worse"), {"worse": []}),
        (protocols("better", "better", best=("worse", "worse")), {"better": ["best"]}),
        (protocols("better", "better", best=("inconclusive", "worse")), {"better": []}),
        (protocols("worse", "worse", best=("worse", "worse")), {"worse": []}),
        (protocols("inconclusive", "inconclusive", best=("worse", "worse")), {"inconclusive": ["best"]}),
        (None, {"better": []}),
    ],
)
def test_protocols_speak_against_a_verdict(asked: Protocols | None, expected: dict[str, list[str]]) -> None:
    assert {verdict: kinds(verdict, asked=asked) for verdict in expected} == expected


@pytest.mark.parametrize(
    ("confounds", "rows", "against"),
    [
        (leaked("inconclusive"), (), {"better", "worse", "equivalent"}),
        (leaked("better"), (), {"worse", "equivalent"}),
        (leaked("worse"), (), {"better", "equivalent", "inconclusive"}),
        (Confounds(leaks=LEAKS), (), {"better", "worse", "equivalent", "inconclusive"}),
        (Confounds(allowed=ALLOWED), (), {"better", "worse", "equivalent", "inconclusive"}),
        (Confounds(cuts=(cut("stop", "worse"),)), (), {"better", "equivalent", "inconclusive"}),
        (Confounds(cuts=(cut("half", "inconclusive"),)), (), {"better", "worse", "equivalent"}),
        (Confounds(), (perplexity("worse"),), {"better", "equivalent"}),
        (Confounds(), (perplexity("better"),), set()),
        (Confounds(), (perplexity("inconclusive"),), set()),
        (Confounds(contributions=parts(-0.006, 0.025)), (), {"better", "worse"}),
        (Confounds(contributions=parts(0.004, 0.015)), (), {"better", "worse"}),
        (Confounds(contributions=parts(0.018, 0.001)), (), {"worse"}),
        (length(), (), {"better", "worse"}),
        (length(explained=0.4), (), set()),
        (length(explained=None, adjusted=-0.004), (), {"better", "worse"}),
        (length(explained=None, adjusted=None), (), set()),
        (length(metric="f1"), (), set()),
        (Confounds(), (loops(0.0, 0.02, 0.001),), {"better", "equivalent"}),
        (Confounds(), (loops(0.0, 0.02, 0.0),), {"better", "equivalent"}),
        (Confounds(), (loops(0.0, 0.02, 0.06),), set()),  # as chance makes it
        (Confounds(), (loops(0.0, 0.009, 0.001),), set()),  # next to none
        (Confounds(), (loops(0.02, 0.4, 0.001),), set()),  # where there were some
        (Confounds(), (loops(0.2, 0.0, 0.001),), set()),
        (Confounds(), (unfinished(0.0, 0.01),), {"better", "worse", "equivalent", "inconclusive"}),
        (Confounds(), (unfinished(0.01, 0.0),), {"better", "worse", "equivalent", "inconclusive"}),
        (Confounds(), (unfinished(0.009, 0.009),), set()),
    ],
)
def test_each_kind_speaks_against_its_verdicts_alone(
    confounds: Confounds, rows: tuple[Any, ...], against: set[str]
) -> None:
    everything = ("better", "worse", "equivalent", "inconclusive")
    assert {verdict for verdict in everything if kinds(verdict, *rows, confounds=confounds)} == against


def everything(verdict: Any) -> tuple[Doubt, ...]:
    evidence = Confounds(
        leaks=LEAKS,
        without_leaks={"hot": row("inconclusive", 0.004)},
        cuts=(cut("half", "inconclusive"), cut("stop", "worse")),
        allowed=ALLOWED,
        contributions=parts(-0.006, 0.025),
        lengths=length().lengths,
    )
    asked = protocols("better", "worse", best=("worse", "worse"))
    rows = perplexity("worse"), loops(0.0, 0.02, 0.001), unfinished(0.5, 0.25)
    return doubts(comparison(verdict, *rows), evidence, asked)


def test_the_strongest_stands_first() -> None:
    found = [doubt.kind for doubt in everything("better")]
    ranked = [kind for kind, _, _ in RANKED]
    assert found == [kind for kind in ranked if kind != "elsewhere"]
    assert strongest(everything("better"))["hot"].kind == "depends"
    assert len(set(ranked)) == len(ranked)


def test_the_page_for_readers_has_the_same_rank() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading-a-verdict.md").read_text(encoding="utf-8")
    places = [page.index(f"| `{kind}` |") for kind, _, _ in RANKED]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("confounds", "rows", "said"),
    [
        (
            Confounds(),
            (unfinished(0.5, 0.25),),
            "162 of 648 of hot's answers and 324 of 648 of base's answers never finished thinking, and have no score",
        ),
        (Confounds(), (perplexity("worse"),), "the references became less likely (perplexity 27.10 to 152.50)"),
        (
            Confounds(contributions=parts(-0.006, 0.025)),
            (),
            "where both answers are sound it is the other way round",
        ),
        (
            Confounds(cuts=(cut("stop", "worse"),)),
            (),
            'worse if answers end at "Question:" (−0.018 [−0.033, −0.003])',
        ),
        (
            Confounds(cuts=(cut("half", "inconclusive"),)),
            (),
            "undecided if answers end after 128 tokens (−0.018 [−0.033, −0.003])",
        ),
        (length(), (), "most of the difference goes with length"),
        (Confounds(), (loops(0.0, 0.02, 0.001),), "2 % of its answers end in a loop, against 0 % of base's"),
        (leaked("inconclusive"), (), "undecided without the rows that leaked, 1 of them (+0.004 [−0.011, +0.019])"),
    ],
)
def test_a_headline_says_the_doubt_after_the_verdict(confounds: Confounds, rows: tuple[Any, ...], said: str) -> None:
    compared = comparison("better", *rows)
    line = tables.headline(compared, "hot", doubts(compared, confounds))
    evidence = "+0.019 [+0.004, +0.034], adjusted p = 0.020, n = 648"
    assert line == f"hot is BETTER than base on Semantic similarity: {evidence}, but {said}"


def test_where_protocols_disagree_the_verdict_itself_says_so() -> None:
    compared = comparison("better")
    found = doubts(compared, None, protocols("better", "worse", "inconclusive"))
    said = "better under training (+0.019 [+0.004, +0.034]), worse under chat (−0.021 [−0.036, −0.006]), undecided"
    line = tables.headline(compared, "hot", found)
    start = f"hot DEPENDS ON HOW IT IS ASKED against base on Semantic similarity: {said} under few-shot (+0.012"
    assert line.startswith(start)
    assert line.endswith(", n = 648")
    assert tables.comparison_table(compared, "hot", found).rows[0][-1] == "better, in doubt"
    assert tables.comparison_table(compared, "hot", ()).rows[0][-1] == "better"


def test_of_many_protocols_one_of_each_verdict_is_named() -> None:
    asked = protocols("better", "better", "better", "better", "worse")
    (doubt,) = doubts(comparison("better"), None, asked)
    assert doubt.words.count(" under ") == 4
    assert "worse under fifth" in doubt.words
    assert doubt.words.endswith(" and 1 more protocol")


def test_no_name_takes_the_verdict_or_the_doubt_away() -> None:
    long = "n" * 5_000
    compared = comparison("better")
    rows = tuple(dataclasses.replace(each, candidate=long, baseline=long) for each in compared.rows)
    info = dataclasses.replace(compared.metrics["semantic_similarity"], title=long)
    compared = dataclasses.replace(
        compared,
        baseline=long,
        candidates=(long,),
        verdicts={long: "better"},
        rows=rows,
        metrics={"semantic_similarity": info},
    )
    asked = protocols(**{f"{verdict}{long}": verdict for verdict in ("better", "worse", "equivalent", "inconclusive")})
    results = tuple(
        dataclasses.replace(r, rows=(dataclasses.replace(r.rows[0], candidate=long),)) for r in asked.results
    )
    for protocols_there in (dataclasses.replace(asked, results=results), None):
        cuts = (dataclasses.replace(cut("stop", "worse"), candidate=long, stop=long),)
        line = tables.headline(compared, long, doubts(compared, Confounds(cuts=cuts), protocols_there))
        assert len(line) < MOST_CHARACTERS
        assert line.endswith(", n = 648" if protocols_there else "−0.003])")
        assert ("DEPENDS ON HOW IT IS ASKED" if protocols_there else "is BETTER than") in line


def test_hot_is_no_plain_better_even_where_it_was_asked_in_one_way() -> None:
    compared = comparison("better", perplexity("worse"))
    evidence = Confounds(contributions=parts(-0.0063, 0.0250), cuts=(cut("stop", "worse"),))
    found = doubts(compared, evidence)
    assert [doubt.kind for doubt in found] == ["stop", "perplexity", "composition"]
    assert ", but worse if answers end at " in tables.headline(compared, "hot", found)


@pytest.mark.parametrize("asked", [None, protocols("better", "worse")])
def test_a_verdict_in_doubt_is_not_green_on_the_terminal(asked: Protocols | None) -> None:
    def ends(found: tuple[Doubt, ...]) -> str:
        console = Console(record=True, width=400, file=io.StringIO(), force_terminal=True, color_system="standard")
        print_comparison(compared, console, doubts=found)
        return console.export_text(styles=True).strip().splitlines()[-1]

    compared = comparison("better", perplexity("worse"))
    green, yellow = "\x1b[1;32m", "\x1b[1;33m"
    assert ends(()).startswith(f"{green}hot is BETTER")
    found = doubts(compared, None, asked)
    assert ends(found).startswith(f"{yellow}hot {'is BETTER' if asked is None else 'DEPENDS ON HOW IT IS ASKED'}")


def test_a_line_feed_in_a_stop_string_is_seen() -> None:
    compared = comparison("better")
    cuts = (dataclasses.replace(cut("stop", "worse"), stop="\n\nQ:"),)
    (doubt,) = doubts(compared, Confounds(cuts=cuts))
    assert doubt.words.startswith(r'worse if answers end at "\n\nQ:" (')


def test_where_there_are_no_findings_the_other_doubts_are_printed() -> None:
    compared = comparison("better", perplexity("worse"))
    console = Console(record=True, width=400, file=io.StringIO())
    print_comparison(compared, console, doubts=doubts(compared, Confounds(contributions=parts(-0.006, 0.025))))
    lines = console.export_text().splitlines()
    assert "! hot: where both answers are sound it is the other way round" in [line.strip() for line in lines]
    assert sum("less likely" in line for line in lines) == 1
