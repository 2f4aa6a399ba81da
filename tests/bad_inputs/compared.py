"""Files that `compare` is given. `given` is the candidate's content; the baseline is a good file of scores."""

from __future__ import annotations

import json

from tests.bad_inputs.case import (
    DIGITS,
    GZIP,
    UTF16,
    Case,
    a_folder,
    a_link_to_itself,
    a_link_to_nothing,
    lines,
    nested,
)

COUNT = 8
SCORES = [{"id": f"q{n}", "f1": n / 10} for n in range(COUNT)]
ANSWERS = [{"id": f"q{n}", "prediction": f"a {n}", "reference": f"a {n}"} for n in range(COUNT)]
LOG = [
    {"doc_id": n, "doc": {"id": f"q{n}"}, "target": "a", "resps": [["a"]], "filtered_resps": ["a"], "filter": "none",
     "metrics": ["f1"], "f1": n / 10, "doc_hash": f"h{n}"}
    for n in range(COUNT)
]  # fmt: skip


def scores(**changed: object) -> str:
    """Scores of which the third row is another one."""
    return lines(*SCORES[:2], {**SCORES[2], **changed}, *SCORES[3:])


def answers(**changed: object) -> str:
    """Answers of which the third row is another one."""
    return lines(*ANSWERS[:2], {**ANSWERS[2], **changed}, *ANSWERS[3:])


def log(**changed: object) -> str:
    """A sample log of which the third row is another one."""
    return lines(*LOG[:2], {**LOG[2], **changed}, *LOG[3:])


def without(key: str, rows: list[dict[str, object]]) -> str:
    """All rows without one key."""
    return lines(*({name: value for name, value in row.items() if name != key} for row in rows))


SCORE_FILES = (
    Case("a folder", a_folder, "after.jsonl"),
    Case("a link to nothing", a_link_to_nothing, "after.jsonl"),
    Case("a link to itself", a_link_to_itself, "after.jsonl"),
    Case("empty", "", "after.jsonl"),
    Case("blank lines", "\n \n", "after.jsonl"),
    Case("UTF-16", scores().encode(UTF16), "UTF-16"),
    Case("compressed", GZIP, "decompress"),
    Case("Latin-1", lines(*SCORES).encode() + b'{"id": "caf\xe9"}\n', "line 9"),
    Case("broken", lines(*SCORES, "{broken"), "line 9"),
    Case("torn", lines(*SCORES) + '{"id": "q9", "f', "line 9"),
    Case("a list", json.dumps(SCORES), "after.jsonl"),
    Case("one object of all", json.dumps({row["id"]: row["f1"] for row in SCORES}), "after.jsonl"),
    Case("CSV", "id,f1\nq0,0.1\n", "line 1"),
    Case("numbers", "1\n2\n", "line 1"),
    Case("a zip that is none", b"PK\x03\x04 and no more", "as a zip"),
    Case("a parquet that is none", b"PAR1 and no more", "as parquet"),
    Case("one JSON object over several lines", json.dumps({"f1": 0.3}, indent=1), "no log"),
    Case("such an object that is torn", json.dumps({"f1": 0.3}, indent=1)[:9], "after.jsonl"),
    Case("too deep", lines(*SCORES, nested()), "deep"),
    Case("5,000 digits", lines(*SCORES, f'{{"id": "q9", "f1": {DIGITS}}}'), "digits"),
    Case("beyond a float", lines(*SCORES[:-1], f'{{"id": "q7", "f1": 1{"0" * 400}}}'), "f1"),
    Case("a key twice", lines(*SCORES, '{"id": "q9", "f1": 0.1, "f1": 0.2}'), "twice"),
    Case("no ids", without("id", SCORES), "id"),
    Case("one row without an id", scores(id=None), "id"),
    Case("an id twice", lines(*SCORES, SCORES[0]), "q0"),
    Case("an id twice, as text and number", lines({"id": 1, "f1": 0.1}, {"id": "1", "f1": 0.2}), "1"),
    Case("no metric", without("f1", SCORES), "after"),
    Case("another metric", lines(*({"id": row["id"], "bleu": 1.0} for row in SCORES)), "share no metric"),
    Case("other ids", lines(*({**row, "id": f"x{row['id']}"} for row in SCORES)), "id"),
    Case("a text among numbers", scores(f1="0.3"), "row 3"),
    Case("a list among numbers", scores(f1=[0.3]), "row 3"),
    Case("an object among numbers", scores(f1={"mean": 0.3}), "row 3"),
    Case("texts for all numbers", lines(*({**row, "f1": str(row["f1"])} for row in SCORES)), "f1"),
    Case("objects for all numbers", lines(*({"id": row["id"], "scores": {"f1": row["f1"]}} for row in SCORES)),
         "scores"),
    Case("null for all numbers", lines(*({**row, "f1": None} for row in SCORES)), "f1"),
    Case("NaN for all numbers", lines(*(f'{{"id": "{row["id"]}", "f1": NaN}}' for row in SCORES)), "f1"),
    Case("infinity for all numbers", lines(*(f'{{"id": "{row["id"]}", "f1": 1e999}}' for row in SCORES)), "f1"),
    Case("statistics that are none", scores(statistics="many"), "row 3"),
    Case("percent against shares", lines(*({**row, "f1": 100 * row["f1"]} for row in SCORES)), "scale"),
    Case("a terminal sequence in a name", lines(*({"id": row["id"], "\x1b[2J": 1.0} for row in SCORES)), r"\x1b[2J"),
)  # fmt: skip

ANSWER_FILES = (
    Case("no reference", without("reference", ANSWERS), "reference"),
    Case("no prediction", without("prediction", ANSWERS), "prediction"),
    Case("a prediction that is null", answers(prediction=None), "row 3"),
    Case("a prediction that is a number", answers(prediction=7), "row 3"),
    Case("a prediction that is a list", answers(prediction=["a"]), "row 3"),
    Case("a reference that is null", answers(reference=None), "row 3"),
    Case("a reference that is an empty list", answers(reference=[]), "row 3"),
    Case("a reference that is a number", answers(reference=7), "row 3"),
    Case("two columns that may be the answer",
         lines(*({"id": row["id"], "answer": "a", "response": "b"} for row in ANSWERS)),
         "prediction"),
    Case("an id twice", lines(*ANSWERS, ANSWERS[0]), "q0"),
    Case("half a character, which JSON can carry", answers(prediction="\ud800"), "", 0),
    Case("half a character in the id, likewise", answers(id="\ud800"), "", 0),
)  # fmt: skip

LOGS = (
    Case("a line without a document", lines(*LOG[:2], {"f1": 1.0}, *LOG[3:]), "doc_id"),
    Case("a score that is a text", log(f1="0.3"), "f1"),
    Case("a score that is null everywhere", lines(*({**row, "f1": None} for row in LOG)), "after"),
    Case("metrics that are no list", log(metrics=7), "metrics"),
    Case("metrics of numbers", log(metrics=[7]), "metrics"),
    Case("a document twice", lines(*LOG, {**LOG[0], "f1": 0.9}), "more than once"),
    Case("torn", lines(*LOG) + '{"doc_id": 8, "do', "line 9"),
    Case("targets nested too deeply", log(target="[" * 5_000), "data differs"),
)
