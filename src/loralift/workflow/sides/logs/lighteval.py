"""Details of lighteval (``--save-details``): ``details_TASK_DATE.parquet``, one row a document.

Each row has ``doc`` (``query``, ``choices``, ``gold_index``, ``id``, …), ``model_response`` and ``metric``, one value
for each metric. ``doc.id`` is the position in the task's data, and rows are not in its order. See ``DetailsLogger`` in
``lighteval/logging/info_loggers.py`` and ``Doc`` in ``lighteval/tasks/requests.py``. A metric of the whole corpus has
lists or objects in its place, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loralift.errors import ComparisonError, shown
from loralift.workflow.external_formats import Row, Texts, is_number
from loralift.workflow.sides.asked import TEXT, of_settings
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Sample, Tool, log_of, model_folder, number, wanted
from loralift.workflow.sides.side import document

SIGNATURE = "tool:lighteval"
_PARTS = {"doc", "model_response", "metric"}


def _is_log(content: Content) -> bool:
    return bool(content.rows) and set(content.rows[0]) >= _PARTS


def _read(content: Content, chosen: str | None) -> Log:
    places = [f"{content.path}, row {at}" for at in range(1, len(content.rows) + 1)]
    scores = [wanted(place, row, "metric", dict) for place, row in zip(places, content.rows, strict=True)]
    names = list(dict.fromkeys(name for of in scores for name in of))
    # a metric that is a list or an object in every row is one of the whole corpus
    left = [name for name in names if not any(is_number(of.get(name)) for of in scores)]
    kept = [name for name in names if name not in left]
    samples = [
        _sample(place, row, {name: number(place, name, of.get(name)) for name in kept})
        for place, row, of in zip(places, content.rows, scores, strict=True)
    ]
    notes = (
        [f"{content.path.name}: {', '.join(left)} left out, for a row holds no single number of it."] if left else []
    )
    return log_of(
        content,
        "lighteval",
        samples,
        {name: column_info(name, SIGNATURE) for name in kept},
        name=model_folder(content.path, "details", 2),
        notes=notes,
    )


def _sample(place: str, row: Row, values: Mapping[str, float | None]) -> Sample:
    doc, response = wanted(place, row, "doc", dict), wanted(place, row, "model_response", dict)
    if not isinstance(doc.get("id"), str) or not doc["id"]:
        raise ComparisonError(f"{place}: doc must have an id, got {shown(doc.get('id'))}")
    right, question = _right(doc), wanted(place, doc, "query", str)
    answers = response.get("text_post_processed") or response.get("text") or []
    answer = answers[0] if len(answers) == 1 and isinstance(answers[0], str) else None
    texts = Texts(doc["id"], answer, right[0], question, others=right[1:]) if answer is not None and right else None
    asked = response.get("input")
    known = document(question, right[0] if right else "") | ({TEXT: asked} if isinstance(asked, str) else {})
    settings = {"max_new_tokens": doc.get("generation_size"), "stop": doc.get("stop_sequences")}
    return Sample(doc["id"], values, texts, {**known, **of_settings(settings)})


def _right(doc: Row) -> tuple[str, ...]:
    """The right answers: the choices at ``gold_index``, an index or several."""
    at, choices = doc.get("gold_index"), doc.get("choices") or []
    places: list[Any] = at if isinstance(at, list) else [at]
    if not all(isinstance(one, int) and 0 <= one < len(choices) for one in places):
        return ()
    found = tuple(dict.fromkeys(choices[one] for one in places))
    return found if all(isinstance(one, str) for one in found) else ()


TOOL = Tool(is_log=_is_log, read=_read)
