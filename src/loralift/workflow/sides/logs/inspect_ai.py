"""Logs of Inspect (``inspect eval``): ``.eval``, a zip of JSON, and ``.json``.

Both hold ``version``, ``status``, ``eval``, ``plan``, ``results``; a ``.eval`` has them in ``header.json`` and each
sample in ``samples/ID_epoch_N.json``. Texts of more than 100 characters may stand in a sample's ``attachments``. See
``inspect_ai/log/_log.py`` and ``inspect_ai/log/_recorders/eval.py``.

A score's value is a number, a letter, or several of either under names. Of letters the log says what they mean:
``value_to_float`` in ``inspect_ai/scorer/_metric.py`` makes numbers of them for the metrics that it prints.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, takewhile
from typing import Any

from loralift.comparison import repeat_id
from loralift.errors import ComparisonError, shown, some
from loralift.records import MetricInfo
from loralift.workflow.external_formats import Row, Texts, is_number, references_of
from loralift.workflow.sides.asked import PROMPT, TEXT, of_settings
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Known, Log, Sample, Tool, graded, log_of, message_text, number, wanted
from loralift.workflow.sides.side import document

HEADER, STARTED = "header.json", "_journal/start.json"
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer."""

ATTACHMENT = "attachment://"
CLOSE = 1e-6

_PARTS = {"version", "status", "eval", "plan"}
_READ = ("input", "target", "messages", "output", "scores", "metadata", "error", "limit")

_OF_THE_CONNECTION = frozenset(
    {"max_retries", "timeout", "attempt_timeout", "max_connections", "adaptive_connections", "batch", "cache"}
    | {"cache_prompt"}
)
"""Settings of `GenerateConfig` that say how the model is reached, and nothing of what it answers."""

_GRADED_BY_A_MODEL = ("model_graded_qa", "model_graded_fact")
"""Scorers that ask the model in the role ``grader``, and the evaluated one where the role has none."""


def _is_log(content: Content) -> bool:
    whole = content.whole
    return HEADER in whole or STARTED in whole or set(whole) >= _PARTS


def _read(content: Content, chosen: str | None) -> Log:
    header = _header(content)
    told = wanted(str(content.path), header, "eval", dict)
    rows = list(_rows(content))
    several = any(row["epoch"] != 1 for row in rows)
    scores = [_scores(row) for row in rows]
    names = list(dict.fromkeys(name for of in scores for name in of))
    letters = {name: _are_letters(content, name, rows, scores) for name in names}
    kept = [name for name in names if letters[name] is not None]
    samples = [
        _sample(content, row, several, header, {name: of.get(name) for name in kept})
        for row, of in zip(rows, scores, strict=True)
    ]
    version = str((told.get("packages") or {}).get("inspect_ai", ""))
    scorers = _scorers(told)
    infos = {
        name: _info(name, letters[name] is True, scorers.get(name.partition("/")[0], {}), told, version)
        for name in kept
    }
    log = log_of(
        content,
        f"Inspect {version}".strip(),
        samples,
        infos,
        name=str(told.get("model", "")),
        repeated=True if several else None,
        notes=list(_notes(content, header, rows, [name for name in names if name not in kept])),
    )
    return replace(log, notes=(*log.notes, *_otherwise(content, header, log, several)))


def _header(content: Content) -> Row:
    whole = content.whole
    if not set(whole) >= _PARTS and HEADER not in whole:
        raise ComparisonError(f"{content.path} is of an evaluation that did not end: see inspect log recover")
    header: Row = whole if set(whole) >= _PARTS else whole[HEADER]
    return header


def _rows(content: Content) -> Iterator[Row]:
    """The samples, what was put apart in its place again; of each only what is read here, as events may be large."""
    whole, path = content.whole, content.path
    inside = [name for name in whole if name.startswith("samples/")]
    found = wanted(str(path), whole, "samples", list) if "samples" in whole else (whole[name] for name in inside)
    for at, row in enumerate(found, start=1):
        place = f"{path}, sample {row.get('id', at) if isinstance(row, Mapping) else at}"
        epoch = wanted(place, row, "epoch", int)
        if not isinstance(row.get("id"), str | int):
            raise ComparisonError(f"{place}: must have an id, got {shown(row.get('id'))}")
        apart = row.get("attachments") or {}
        parts = {name: _whole(place, row.get(name), apart) for name in _READ}
        config = next((event.get("config") for event in row.get("events") or () if event.get("event") == "model"), None)
        yield {**parts, "id": str(row["id"]), "epoch": epoch, "config": config, "place": place}


def _whole(place: str, value: Any, apart: Row) -> Any:
    """A value whose texts that stand in the sample's attachments are in their place."""
    if isinstance(value, str) and value.startswith(ATTACHMENT):
        return wanted(f"{place}, attachments", apart, value.removeprefix(ATTACHMENT), str)
    if isinstance(value, Mapping):
        return {name: _whole(place, of, apart) for name, of in value.items()}
    return [_whole(place, of, apart) for of in value] if isinstance(value, list) else value


def _scorers(told: Row) -> dict[str, Row]:
    """The scorers under the names that their scores have: of several with one name Inspect numbers the further ones."""
    found: dict[str, Row] = {}
    for scorer in told.get("scorers") or ():
        names = (f"{scorer.get('name')}{number or ''}" for number in count())
        found[next(name for name in names if name not in found)] = scorer
    return found


def _scores(row: Row) -> dict[str, Any]:
    """Scorer to value; a scorer with several values gives one metric for each, ``SCORER/NAME``."""
    found: dict[str, Any] = {}
    for scorer in row["scores"] or {}:
        value = wanted(row["place"], row["scores"], scorer, dict).get("value")
        found |= {f"{scorer}/{name}": of for name, of in value.items()} if isinstance(value, dict) else {scorer: value}
    return found


def _are_letters(content: Content, name: str, rows: Sequence[Row], scores: Sequence[Row]) -> bool | None:
    """Whether a metric's values are letters, and not numbers; None where they are neither.

    Raises:
        ComparisonError: They are letters in some samples and something else in others.
    """
    values = [of.get(name) for of in scores]
    known = [value for value in values if value is not None and value == value]  # not NaN, which is of no kind
    letters = [isinstance(value, str) and value in GRADES for value in known]
    if known and all(letters):
        return True
    if not any(letters):
        return False if all(map(is_number, known)) else None
    place = next(row["place"] for row, value in zip(rows, values, strict=True) if value in known and not _letter(value))
    raise ComparisonError(f"{place}: {name} must be one of {', '.join(GRADES)}, as in other samples of {content.path}")


def _sample(content: Content, row: Row, several: bool, header: Row, values: Row) -> Sample:
    place, error = row["place"], row["error"]
    numbers = {name: GRADES[of] if _letter(of) else number(place, name, of) for name, of in values.items()}
    sample = repeat_id(row["id"], row["epoch"] - 1) if several else row["id"]
    question, right = _asked(row["input"]), references_of(row["target"])
    answer = (row["output"] or {}).get("completion")
    texts = Texts(sample, answer, right[0], question, others=right[1:]) if right and isinstance(answer, str) else None
    config = row["config"] or (header.get("plan") or {}).get("config") or {}
    return Sample(
        sample,
        numbers,
        texts,
        {**document(question, right[0] if right else ""), **_how(row, header, config)},
        row["metadata"] or {},
        error=str(error.get("message") if isinstance(error, Mapping) else error) if error else "",
        unscored=dict.fromkeys(values, "the log has no score"),
    )


def _letter(value: object) -> bool:
    return isinstance(value, str) and value in GRADES


def _asked(given: object) -> str:
    """The question: the input's text, or that of its last message of the user; empty where that is no text."""
    if isinstance(given, list):
        of_user = [message for message in given if message.get("role") == "user"]
        given = message_text(of_user[-1].get("content")) if of_user else None
    return given if isinstance(given, str) else ""


def _how(row: Row, header: Row, config: Row) -> Known:
    """How a sample was asked: its messages before the first answer, the solvers, and the settings of generation."""
    known = of_settings({"decoding": {}, **{name: of for name, of in config.items() if name not in _OF_THE_CONNECTION}})
    steps = [[step.get("solver"), step.get("params")] for step in (header.get("plan") or {}).get("steps") or ()]
    known[f"{PROMPT}:solvers of Inspect"] = json.dumps(steps, ensure_ascii=False, sort_keys=True)
    before = list(takewhile(lambda message: message.get("role") != "assistant", row["messages"] or ()))
    texts = [message_text(message.get("content")) for message in before]
    if texts and all(text is not None for text in texts):
        known[TEXT] = "\n\n".join(map(str, texts))
    return known


def _info(name: str, letters: bool, scorer: Row, told: Row, version: str) -> MetricInfo:
    options = json.dumps(scorer["options"], sort_keys=True) if scorer.get("options") else ""
    parts = ("tool:inspect_ai", version and f"version:{version}", options, *_judges(scorer, told))
    signature = "|".join(filter(None, parts))
    return graded(name, signature) if letters else column_info(name, signature)


def _judges(scorer: Row, told: Row) -> Iterator[str]:
    """The models that a scorer may have asked: those in roles, or the evaluated one."""
    roles = told.get("model_roles") or {}
    if roles:
        said = {role: [_model(one) for one in (of if isinstance(of, list) else [of])] for role, of in roles.items()}
        yield f"roles:{json.dumps(said, sort_keys=True)}"
    options = scorer.get("options") or {}
    role = options.get("model_role", "grader")
    role = role.get("name") if isinstance(role, Mapping) else role
    if scorer.get("name") in _GRADED_BY_A_MODEL and not options.get("model") and role not in roles:
        yield f"graded by the evaluated model, {told.get('model')}"


def _model(of: Row) -> object:
    """A model in a role: its name, and the settings of its calls where there are any."""
    config = of.get("config") or {}
    kept = {name: value for name, value in config.items() if value is not None and name not in _OF_THE_CONNECTION}
    return {"model": of.get("model"), **kept} if kept else of.get("model")


def _notes(content: Content, header: Row, rows: Sequence[Row], left: Sequence[str]) -> Iterator[str]:
    name = content.path.name
    if (status := header.get("status")) != "success":
        expected = ((header.get("eval") or {}).get("dataset") or {}).get("samples")
        yield f"{name}: the evaluation ended as {status}, and holds {len(rows)} samples of {expected}."
    if header.get("invalidated"):
        yield f"{name}: its samples were marked as invalid."
    if left:
        yield f"{name}: {some(left)} left out, for its values are neither numbers nor {', '.join(GRADES)}."
    if cut := [row["id"] for row in rows if row["limit"]]:
        yield f"{name}: {len(cut)} samples were ended by a limit ({some(cut, 3)})."


def _otherwise(content: Content, header: Row, log: Log, several: bool) -> Iterator[str]:
    """Where the log's own figure of a metric is not the mean of its samples, whatever the reason."""
    why = "; epochs are averaged here" if several else ""
    for of in (header.get("results") or {}).get("scores") or ():
        values: list[float] = [value for row in log.values if (value := row.get(of["name"])) is not None]
        for metric in ("accuracy", "mean"):
            said: Any = (of["metrics"].get(metric) or {}).get("value")
            if not values or not is_number(said):
                continue
            if abs(float(said) - (mean := math.fsum(values) / len(values))) > CLOSE:
                yield f"{content.path.name}: its own {metric} of {of['name']} is {said:.4g}, not {mean:.4g}{why}."


TOOL = Tool(is_log=_is_log, read=_read)
