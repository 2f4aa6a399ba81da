"""Predictions of OpenCompass: ``predictions/MODEL/DATASET.json``, and no scores.

It is one object of the positions of the rows, each with ``origin_prompt`` (a text, or the messages of a chat model),
``prediction`` and ``gold``. They are scored here. A dataset in several parts (``DATASET_0.json`` …) is several sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from loralift.errors import ComparisonError, shown
from loralift.workflow.external_formats import Row, Texts, references_of
from loralift.workflow.sides.asked import PROMPT, TEXT
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Sample, Tool, log_of, model_folder, wanted

_PARTS = {"origin_prompt", "prediction"}


def _is_log(content: Content) -> bool:
    first = next(iter(content.whole.values()), None) if "0" in content.whole else None
    return isinstance(first, Mapping) and set(first) >= _PARTS


def _read(content: Content, chosen: str | None) -> Log:
    samples = [_sample(f"{content.path}, row {at}", at, row) for at, row in content.whole.items()]
    name = model_folder(content.path, "predictions", 1)
    return log_of(content, "OpenCompass", samples, {}, name=name, answers_alone=True)


def _sample(place: str, at: str, row: Row) -> Sample:
    answer, right, asked = wanted(place, row, "prediction", str), references_of(row.get("gold")), row["origin_prompt"]
    if right is None:
        raise ComparisonError(f"{place}: gold must be a text or a list of texts, got {shown(row.get('gold'))}")
    # the prompt is the question in a template, so it is compared as a prompt, and not as the data
    known = {TEXT: asked} if isinstance(asked, str) else {f"{PROMPT}:messages of OpenCompass": json.dumps(asked)}
    question = asked if isinstance(asked, str) else ""
    return Sample(at, {}, Texts(at, answer, right[0], question, prompt=True, others=right[1:]), known)


TOOL = Tool(is_log=_is_log, read=_read)
