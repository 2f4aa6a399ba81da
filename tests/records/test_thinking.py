"""What is thinking and what is answer, of texts as models write them."""

from __future__ import annotations

import time

import pytest

from loralift.records import KEPT, OF_MODELS, THINK, Thinking, holds_tags, opened_by, part
from loralift.records.thinking import MOST_THOUGHTS

MARKED = Thinking(OF_MODELS)
INSIDE = Thinking(opened="<think>")
FENCE = "```\n<think>\nhm\n</think>\n```"
HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("text", "how", "answer", "thinking"),
    [
        ("<think>\nhm\n</think>\n\nYes.", Thinking(), "Yes.", "hm"),
        ("  \n<think>hm</think>Yes.", Thinking(), "Yes.", "hm"),
        ("<think>hm</think>", Thinking(), "", "hm"),
        ("<think>\n\n</think>\nYes.", Thinking(), "Yes.", ""),
        ("<think>hm", Thinking(), None, "hm"),
        ("<think>", Thinking(), None, ""),
        # several
        ("<think>a</think>\n<think>b</think>Yes.", Thinking(), "Yes.", "a\n\nb"),
        ("<think>a</think>Yes.\n<think>b</think>\nNo.", Thinking(), "Yes.\n\nNo.", "a\n\nb"),
        ("<think>a</think>Yes.\n<think>b", Thinking(), None, "a\n\nb"),
        (
            "<think>No </think> yet.\nhm\n</think>\nYes.",
            Thinking(),
            "Yes.",
            "No\n\nyet.\nhm",
        ),
        # the prompt opened it
        ("hm\n</think>\nYes.", INSIDE, "Yes.", "hm"),
        ("hm</think>Yes.", INSIDE, "Yes.", "hm"),
        ("<think>\nhm\n</think>Yes.", INSIDE, "Yes.", "hm"),
        ("hm, a <think> tag</think>Yes.", INSIDE, "Yes.", "hm, a <think> tag"),
        ("Yes.", INSIDE, None, "Yes."),
        ("", INSIDE, None, ""),
        # nothing opened it
        ("hm\n</think>\n\nYes.", Thinking(), "Yes.", "hm"),
        ("hm.</think>\n\nYes.", Thinking(), "Yes.", "hm."),
        # the answer is about tags
        ("Write </think> behind it.", Thinking(), "Write </think> behind it.", ""),
        ("It ends with </think>", Thinking(), "It ends with </think>", ""),
        ("Use <think> and\n</think>\nin pairs.", Thinking(), "Use <think> and\n</think>\nin pairs.", ""),
        (f"So:\n{FENCE}\nDone.", Thinking(), f"So:\n{FENCE}\nDone.", ""),
        ("```\n</think>\n```", Thinking(), "```\n</think>\n```", ""),
        (f"<think>hm</think>So:\n{FENCE}", Thinking(), f"So:\n{FENCE}", "hm"),
        ("Sure.\n<think>\nhm\n</think>\nYes.", Thinking(), "Sure.\n<think>\nhm\n</think>\nYes.", ""),
        # other models' tags
        ("[THINK]hm[/THINK]Yes.", MARKED, "Yes.", "hm"),
        ("[THINK]hm[/THINK]Yes.", Thinking(), "[THINK]hm[/THINK]Yes.", ""),
        ("◁think▷hm◁/think▷Yes.", MARKED, "Yes.", "hm"),
        (f"{HARMONY}Yes.", MARKED, "Yes.", "analysis<|message|>hm<|end|><|start|>assistant"),
        ("<|channel|>final<|message|>Yes.", MARKED, "Yes.", ""),
        ("<|channel|>analysis<|message|>hm", MARKED, None, "analysis<|message|>hm"),
        # nothing to part
        ("I think so.", MARKED, "I think so.", ""),
        (" Yes. ", MARKED, " Yes. ", ""),
        ("", MARKED, "", ""),
        ("<think>hm</think>Yes.", KEPT, "<think>hm</think>Yes.", ""),
    ],
)
def test_answer_and_thinking_of_a_text(text: str, how: Thinking, answer: str | None, thinking: str) -> None:
    found = part(text, how)
    assert (found.answer, found.thinking) == (answer, thinking)
    outside, at = "", 0
    for begin, end in found.spans:
        assert at <= begin < end <= len(text) or text == ""
        outside, at = outside + text[at:begin], end
    assert answer is None or (outside + text[at:]).strip() == answer.strip()


@pytest.mark.parametrize("piece", ["<think>", "</think>\n", "<think>a</think>\n", "```\n</think>\n", "a <think> "])
def test_loops_of_tags_take_no_time(piece: str) -> None:
    started = time.process_time()
    found = part(piece * 10_000, MARKED)
    assert len(found.spans) <= MOST_THOUGHTS
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("prompts", "opened"),
    [
        (["Why?<assistant><think>\n", "How?<assistant><think>\n"], "<think>"),
        (["Why?<assistant><think>\n\n</think>\n\n"] * 2, ""),
        (["What is <think>", "Why?"], ""),
        (["What is <think>?\nAnswer:"] * 2, ""),
        ([], ""),
    ],
)
def test_prompts_open_thinking_where_all_of_them_end_so(prompts: list[str], opened: str) -> None:
    assert opened_by(prompts, [THINK]) == opened


def test_tags_of_any_model_are_seen_in_an_answer() -> None:
    assert all(map(holds_tags, ["a <REASONING> b", "[/THINK]", "x <|channel|>analysis", "</seed:think>"]))
    assert not holds_tags("I think: a <b> and a thinker")
