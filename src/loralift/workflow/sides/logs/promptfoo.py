"""Results of promptfoo (``promptfoo eval -o results.json``), of one prompt and one provider.

``results.results`` has one entry a test: ``success``, ``score`` (0 to 1, the weighted mean of its assertions),
``namedScores`` (the sum of the assertions with a ``metric``, over ``namedScoreWeights``), ``response``, ``prompt.raw``,
``testCase``, ``failureReason`` (0 none, 1 an assertion, 2 an error). Where the provider failed promptfoo writes the
score 0, and no named score. See ``EvaluateResult`` in promptfoo's ``src/types/index.ts``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.errors import ComparisonError, shown, some
from loralift.workflow.external_formats import IDS, Row, Texts, is_id
from loralift.workflow.sides.asked import TEXT, of_settings
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Known, Log, Sample, Tool, graded, log_of, number, wanted
from loralift.workflow.sides.side import document

PASS, SCORE = "pass", "score"
ERROR = 2
EQUALS = "equals"
POSITION = "testIdx"


def _is_log(content: Content) -> bool:
    results = content.whole.get("results")
    return "evalId" in content.whole and isinstance(results, Mapping) and "results" in results


def _read(content: Content, chosen: str | None) -> Log:
    place, whole = str(content.path), content.whole
    rows = wanted(place, whole["results"], "results", list)
    version = str((whole.get("metadata") or {}).get("promptfooVersion", ""))
    places = [f"{place}, result {at}" for at in range(1, len(rows) + 1)]
    asked = {(wanted(at, row, "promptIdx", int), _provider(at, row)) for at, row in zip(places, rows, strict=True)}
    if len(asked) > 1:
        said = some(sorted(f"prompt {at} of {provider}" for at, provider in asked))
        raise ComparisonError(f"{place} holds several sides ({said}): write one a file, as by --filter-providers")
    (column, ids), settings = _ids(places, rows), _settings(whole)
    samples = [_sample(*of, settings) for of in zip(places, ids, rows, strict=True)]
    signature = "|".join(filter(None, ("tool:promptfoo", version and f"version:{version}")))
    names = dict.fromkeys(name for sample in samples for name in sample.values)
    infos = {name: column_info(name, signature) for name in names}
    infos[PASS] = graded(PASS, signature)
    tool = f"promptfoo {version}".strip()
    return log_of(content, tool, samples, infos, name=next(iter(asked))[1] if asked else "", id_column=column)


def _provider(place: str, row: Row) -> str:
    provider = wanted(place, row, "provider", dict)
    return str(provider.get("label") or provider.get("id"))


def _ids(places: Sequence[str], rows: Sequence[Row]) -> tuple[str, list[str]]:
    """The tests' own ids, of their variables or metadata, and by what name; else their positions."""
    for column in IDS:
        own = [{**(row.get("vars") or {}), **(row.get("metadata") or {})}.get(column) for row in rows]
        if all(map(is_id, own)) and len(set(map(str, own))) == len(own):
            return column, list(map(str, own))
    return POSITION, [str(wanted(place, row, POSITION, int)) for place, row in zip(places, rows, strict=True)]


def _settings(whole: Row) -> Known:
    """The settings that the one provider was given."""
    providers = (whole.get("config") or {}).get("providers")
    one = providers[0] if isinstance(providers, list) and len(providers) == 1 else None
    config = one.get("config") if isinstance(one, Mapping) else None
    names = ("max_tokens", "temperature", "top_p", "stop")
    return of_settings({name: config[name] for name in names if name in config}) if isinstance(config, Mapping) else {}


def _sample(place: str, row_id: str, row: Row, settings: Known) -> Sample:
    if row.get("failureReason") not in (0, 1, ERROR):
        raise ComparisonError(f"{place}: failureReason must be 0, 1 or 2, got {shown(row.get('failureReason'))}")
    asked, answer = row["prompt"].get("raw"), (row.get("response") or {}).get("output")
    question, right = asked if isinstance(asked, str) else "", _right(row)
    texts = Texts(row_id, answer, right, question) if right is not None and isinstance(answer, str) else None
    known = {**document("", right or ""), **({TEXT: question} if question else {}), **settings}
    if row["failureReason"] == ERROR:
        return Sample(row_id, {}, None, known, error=str(row.get("error") or "an error"))
    named = {name: _named(place, name, row) for name in row.get("namedScores") or {}}
    values = {PASS: number(place, "success", row.get("success")), SCORE: number(place, SCORE, row.get("score"))}
    if both := values.keys() & named.keys():
        raise ComparisonError(f"{place}: no assertion's metric may be called {some(both)}, as the test's own is")
    return Sample(row_id, {**values, **named}, texts, known)


def _named(place: str, name: str, row: Row) -> float | None:
    """A named score: promptfoo sums the assertions of one name, and keeps by what weight."""
    total = number(place, name, row["namedScores"][name])
    weight = number(place, f"the weight of {name}", (row["gradingResult"].get("namedScoreWeights") or {}).get(name, 1))
    if weight != 1 and total is not None:
        raise ComparisonError(
            f"{place}: {name} is a sum of weight {weight or 0:g}: give each assertion a metric of its own, and weight 1"
        )
    return total


def _right(row: Row) -> str | None:
    """The right answer: what the one assertion wants that the answer equals."""
    asserted = (row.get("testCase") or {}).get("assert") or []
    wanted_texts = [one.get("value") for one in asserted if one.get("type") == EQUALS]
    return wanted_texts[0] if len(wanted_texts) == 1 and isinstance(wanted_texts[0], str) else None


TOOL = Tool(is_log=_is_log, read=_read)
