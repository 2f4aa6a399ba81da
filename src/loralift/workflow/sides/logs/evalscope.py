"""Reviews of EvalScope: ``reviews/MODEL/DATASET_SUBSET.jsonl``, one line an answer.

Each line has ``index``, ``target``, ``messages`` and ``sample_score``: ``group_id`` (the question),
``generation_index`` (which of several answers to it), and ``score`` with ``value`` (one number a metric), ``status``,
``extracted_prediction``.
Where a metric failed EvalScope writes 0 and says so in ``metadata.metric_errors``; only the statuses ``success`` and
``fallback`` carry a score. See ``ReviewResult`` and ``ScoreStatus`` in ``evalscope``.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from loralift.comparison import repeat_id
from loralift.workflow.external_formats import Row, Texts, references_of
from loralift.workflow.sides.asked import TEXT
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Sample, Tool, log_of, message_text, model_folder, number, wanted
from loralift.workflow.sides.side import document

SIGNATURE = "tool:evalscope"
USABLE = ("success", "fallback")


def _is_log(content: Content) -> bool:
    return bool(content.rows) and {"sample_score", "target", "messages"} <= set(content.rows[0])


def _read(content: Content, chosen: str | None) -> Log:
    places = [f"{content.path}, line {at}" for at in range(1, len(content.rows) + 1)]
    scores = [wanted(place, row, "sample_score", dict) for place, row in zip(places, content.rows, strict=True)]
    several = any(score.get("generation_index") for score in scores)
    samples = [_sample(*of, several) for of in zip(places, content.rows, scores, strict=True)]
    infos = {name: column_info(name, SIGNATURE) for sample in samples for name in sample.values}
    name = model_folder(content.path, "reviews", 1)
    return log_of(content, "EvalScope", samples, infos, name=name, repeated=True if several else None)


def _sample(place: str, row: Row, of: Row, several: bool) -> Sample:
    score = wanted(place, of, "score", dict)
    values = {name: number(place, name, value) for name, value in wanted(place, score, "value", dict).items()}
    failed = (score.get("metadata") or {}).get("metric_errors") or {}
    unscored = {name: why for name in values if (why := _why(name, score, failed))}
    group, generation = wanted(place, of, "group_id", int), wanted(place, of, "generation_index", int)
    sample = repeat_id(str(group), generation) if several else str(group)
    before = takewhile(lambda message: message.get("role") != "assistant", wanted(place, row, "messages", list))
    asked = [(message.get("role"), message_text(message.get("content"))) for message in before]
    of_user = [text for role, text in asked if role == "user" and text]
    question, right, answer = (
        of_user[-1] if of_user else "",
        references_of(row["target"]),
        score["extracted_prediction"],
    )
    texts = Texts(sample, answer, right[0], question, others=right[1:]) if right and isinstance(answer, str) else None
    prompt = {TEXT: "\n\n".join(str(text) for _, text in asked)} if asked and all(text for _, text in asked) else {}
    known = document(question, right[0] if right else "") | prompt
    kept = {name: None if name in unscored else value for name, value in values.items()}
    return Sample(sample, kept, texts, known, row.get("sample_metadata") or {}, unscored=unscored)


def _why(name: str, score: Row, failed: Mapping[str, object]) -> str:
    """Why a value is none, whatever EvalScope wrote; empty where it is one.

    A failed metric is called otherwise than its values, as BLEU and bleu-1: where none of them begins like it, none of
    the values is believed.
    """
    if (status := score.get("status", USABLE[0])) not in USABLE:
        return f"its status is {status}"
    for metric in failed:
        like = [one for one in score["value"] if one.casefold().startswith(metric.casefold())]
        if name in like or not like:
            return f"{metric} failed"
    return ""


TOOL = Tool(is_log=_is_log, read=_read)
