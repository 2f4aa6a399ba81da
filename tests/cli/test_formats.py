"""A file of each format that people train on goes to a verdict with no other flag for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.models import SUBJECTS

PAIRS = [(f"What are {one}?", f"{one} are {len(one)} letters.") for one in SUBJECTS]
TEMPLATE = (
    "{% for m in messages %}Question: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)


def turns(asked: str, said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


ROWS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda q, a: {"messages": [*turns("What is it?", "It is."), *turns(q, a)]},
    "pairs": lambda q, a: {"prompt": f"Question: {q}\nAnswer:", "completion": f" {a}"},
}


@pytest.mark.parametrize(("name", "extra"), [("messages", ["--every-turn"]), ("pairs", [])])
def test_a_format_goes_to_a_verdict(
    name: str, extra: list[str], cli: Any, tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "chat_template.jinja").write_text(TEMPLATE)
    data, run = tmp_path / "rows.jsonl", tmp_path / "run"
    data.write_text("".join(json.dumps(ROWS[name](*pair)) + "\n" for pair in PAIRS))
    fast = ["--metrics", "rougeL", "--max-new-tokens", "8", "--resamples", "200", "--noise-rows", "0"]
    outcome = cli(
        "run", "--model", base, "--adapter", f"mine={tiny_adapter}", "--dataset", data, "-o", run, *fast, *extra
    )
    assert outcome.code == 0, outcome.err
    document = json.loads((run / "run.json").read_text())
    compared = json.loads((run / "comparison.json").read_text())["rows"][0]
    said = outcome.out + outcome.err
    if name == "messages":
        assert document["fingerprint"]["prompt"]["example"] == "Question: What is it?\nAnswer:"
        # two turns of each conversation are one observation
        assert (document["fingerprint"]["data"]["rows"], compared["answers"], compared["n"]) == (20, 20, 10)
        assert "turns of one conversation are no independent rows" in " ".join(said.split())
        assert "user: What is it?" in (run / "report.html").read_text()
    else:
        assert document["fingerprint"]["prompt"]["example"] == "Question: What are stocks?\nAnswer:"
        assert compared["n"] == 10
    assert "the prompt of 0" in said


def test_perplexity_of_a_run_is_of_what_training_on_the_whole_conversation_sees(
    cli: Any, tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    """The same numbers as where the template's space is the prompt's own, or the completion's: as it was trained."""
    rows = [("What are bonds?", "bonds are 5 letters."), ("What is cash?", "cash is 4 letters.")]
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}Question: {{ m.content }}\n\nAnswer:{% else %} "
        "{{ m.content }}{% endif %}{% endfor %}"
    )
    chats = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in rows]
    plain = [{"prompt": f"Question: {q}\n\nAnswer:", "completion": f" {a}"} for q, a in rows]
    ended = [{"prompt": f"Question: {q}\n\nAnswer: ", "completion": a} for q, a in rows]
    found = []
    for name, data in (("chats", chats), ("ended", ended), ("plain", plain)):
        file, run = tmp_path / f"{name}.jsonl", tmp_path / name
        file.write_text("".join(json.dumps(row) + "\n" for row in data))
        fast = ["--metrics", "perplexity", "--max-new-tokens", "4", "--resamples", "100", "--noise-rows", "0"]
        outcome = cli("run", "--model", base, "--adapter", f"mine={tiny_adapter}", "--dataset", file, "-o", run, *fast)
        assert outcome.code == 0, outcome.err
        lines = (run / "mine" / "references.jsonl").read_text().splitlines()
        found.append([row[key] for row in map(json.loads, lines) for key in ("log_likelihood", "tokens")])
    assert found[0] == pytest.approx(found[2])
    assert found[1] == found[2]
    assert len(found[0]) == 4
