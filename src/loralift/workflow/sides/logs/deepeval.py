"""Test runs of DeepEval (``DEEPEVAL_RESULTS_FOLDER``, or ``.deepeval/.latest_run_full.json``).

``testCases`` has one entry a test: ``name``, ``input``, ``actualOutput``, ``expectedOutput``, ``success``, and in
``metricsData`` of each metric its ``score``, ``threshold`` and ``success``, or an ``error``, besides
``evaluationModel`` (who judged, where a model did) and ``strictMode`` (whether scores are 0 and 1 alone). A metric says
by its success which side of the threshold is the better one, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from loralift.errors import ComparisonError, some
from loralift.records import MetricInfo
from loralift.workflow.external_formats import Row, Texts, is_number
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Sample, Tool, graded, log_of, number, wanted
from loralift.workflow.sides.side import document

SIGNATURE = "tool:deepeval"
PASS = "pass"


def _is_log(content: Content) -> bool:
    return {"testCases", "metricsScores"} <= set(content.whole) or "testRunData" in content.whole


def _read(content: Content, chosen: str | None) -> Log:
    place, whole = str(content.path), content.whole
    whole = whole.get("testRunData", whole)
    if whole.get("conversationalTestCases"):
        raise ComparisonError(f"{place} holds conversations, which are not read: give it test cases of one turn")
    cases = wanted(place, whole, "testCases", list)
    places = [f"{place}, test case {at}" for at in range(1, len(cases) + 1)]
    found = [list(_metrics(at, case)) for at, case in zip(places, cases, strict=True)]
    samples = [_sample(*of) for of in zip(places, cases, found, strict=True)]
    names = dict.fromkeys(str(one["name"]) for of in found for one in of)
    if PASS in names:
        raise ComparisonError(f"{place}: a metric must not be called {PASS}, as the success of a test is here")
    ones = {name: [one for of in found for one in of if one["name"] == name] for name in names}
    infos = {name: _info(place, name, of) for name, of in ones.items()}
    bars = [f"{name}: {_made(ones[name], bar=True)}".rstrip(": ") for name in sorted(ones)]
    infos[PASS] = graded(PASS, "|".join([SIGNATURE, *bars]))
    return log_of(content, "DeepEval", samples, infos)


def _metrics(place: str, case: Row) -> Iterator[Row]:
    seen: set[str] = set()
    for one in wanted(place, case, "metricsData", list):
        name = wanted(place, one, "name", str)
        if name in seen:
            raise ComparisonError(f"{place}: the metric {name} is there twice; give each a name of its own")
        seen.add(name)
        yield one


def _sample(place: str, case: Row, metrics: Sequence[Row]) -> Sample:
    failed = {one["name"]: f"an error: {one['error']}"[:200] for one in metrics if one.get("error")}
    values = {one["name"]: None if one["name"] in failed else number(place, one["name"], one.get("score"))
              for one in metrics}  # fmt: skip
    # a test whose metric failed did not fail itself
    passed = None if failed else number(place, "success", case.get("success"))
    name, question = wanted(place, case, "name", str), case.get("input")
    answer, right = case.get("actualOutput"), case.get("expectedOutput")
    asked, reference = (text if isinstance(text, str) else "" for text in (question, right))
    texts = Texts(name, answer, reference, asked) if isinstance(answer, str) and reference else None
    reasons = failed | ({PASS: f"an error of {some(failed)}"} if failed else {})
    return Sample(name, {**values, PASS: passed}, texts, document(asked, reference), unscored=reasons)


def _info(place: str, name: str, ones: Sequence[Mapping[str, object]]) -> MetricInfo:
    """The description of a metric, with the direction that its successes show."""
    shown = set()
    for one in ones:
        score, threshold, passed = one.get("score"), one.get("threshold"), one.get("success")
        if is_number(score) and is_number(threshold) and score != threshold and isinstance(passed, bool):
            shown.add(passed == (float(str(score)) > float(str(threshold))))
    info = column_info(name, "|".join(filter(None, (SIGNATURE, _made(ones)))))
    if len(shown) > 1:
        raise ComparisonError(
            f"{place}: tests succeed on both sides of the threshold of {name}, so no direction is sure"
        )
    better = shown.pop() if shown else info.higher_is_better
    # a name like one of our metrics does not make it one, where it is passed the other way round
    return info if better == info.higher_is_better else replace(info, low=None, high=None, higher_is_better=better)


def _made(ones: Sequence[Row], bar: bool = False) -> str:
    """How a metric was made: by which judge, whether strictly, and, if that counts, above which threshold."""
    found: list[str] = []
    for key, name in (("threshold", "threshold"), ("evaluationModel", "judge"), ("strictMode", "strict")):
        values = {str(one[key]) for one in ones if one.get(key) not in (None, "") and one[key] is not False}
        if values and (bar or key != "threshold"):
            found.append(f"{name} {', '.join(sorted(values))}")
    return ", ".join(found)


TOOL = Tool(is_log=_is_log, read=_read)
