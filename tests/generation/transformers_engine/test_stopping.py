"""Sampling, stopping and cutting, row by row."""

from __future__ import annotations

import pytest
import torch
from transformers import TopPLogitsWarper

from loralift.generation.base import GenerationSettings
from loralift.generation.transformers_engine.sampling import CommonRandomNumbers, _nucleus
from loralift.generation.transformers_engine.stopping import RowWatch, finish_row, left_pad
from loralift.records import Thinking


def spell(tokens):
    return "".join(chr(token) for token in tokens)


def tokens(text):
    return [ord(letter) for letter in text]


def test_padding_is_on_the_left():
    ids, mask = left_pad([(5, 6, 7), (8,)], 0, "cpu")
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("made", "stopped", "expected"),
    [
        ("hello", None, ("hello", 5, "length")),
        ("hello$$$", None, ("hello", 5, "stop")),
        ("$", None, ("", 0, "stop")),
        (" hello\n$", None, ("hello", 7, "stop")),
        ("hello#a$$", 7, ("hello", 7, "stop")),
        ("hello#a", None, ("hello", 7, "stop")),  # found in the text even had the watch missed it
        ("#", 1, ("", 1, "stop")),
    ],
)
def test_a_row_ends_at_its_end(made, stopped, expected):
    row = finish_row(tokens(made), stopped, tokens("$"), GenerationSettings(stop=("#a", "#")), spell)
    assert (row.text, row.tokens, row.reason, row.half) == (*expected, None)


BYTES = " zwölf Äpfel\n".encode()


@pytest.mark.parametrize(
    ("made", "most", "left"),
    [
        (b"hello", 10, None),
        (b"hello", 11, None),
        (b"hello$", 9, "hell"),
        (b"hello$", 10, None),  # what ended there is whole
        (b"  hello", 8, "he"),
        (b"hello  ", 12, "hello"),
        (BYTES, 8, "zw"),  # three bytes and half of a character
        (BYTES, 10, "zwö"),
        (b"hello#a#more", 14, "hello"),  # cut at the stop string that these tokens had begun
        (b"hello#", 8, "hell"),
    ],
)
def test_half_of_an_answer_is_told(made, most, left):
    def decode(some):
        return bytes(some).decode("utf-8", "replace")

    settings = GenerationSettings(max_new_tokens=most, stop=("#a",))
    row = finish_row(list(made), None, list(b"$"), settings, decode)
    shorter = finish_row(list(made)[: most // 2], None, list(b"$"), settings, decode)
    assert (None if row.half is None else row.text[: row.half].strip()) == left
    assert shorter.text.rstrip("\ufffd") == (row.text if left is None else left)


def test_half_of_a_text_that_is_no_prefix_is_not_known():
    def decode(some):
        return "".join(chr(token) for token in some)[::-1]

    row = finish_row(tokens("hello"), None, (), GenerationSettings(max_new_tokens=6), decode)
    assert (row.half, row.tokens) == (None, 5)


def run_watch(rows, stop, report=None):
    watch = RowWatch(len(rows), tokens("$"), stop, spell, report)
    ids = torch.tensor([tokens("ENDprompt")] * len(rows))
    decisions = []
    for step in zip(*rows, strict=True):
        ids = torch.cat([ids, torch.tensor([[ord(letter)] for letter in step])], dim=1)
        decisions.append(watch(ids, None).tolist())
    return watch, decisions


def test_the_watch_stops_each_row_once_and_never_an_ended_one():
    watch, decisions = run_watch(["abEND...", "xy$END..", "........"], ("END",))
    assert watch.lengths == [5, None, None]
    assert [row for row, *_ in decisions] == [False] * 4 + [True] + [False] * 3
    assert not any(second or third for _, second, third in decisions)


def test_the_watch_counts_tokens_until_the_row_ends():
    seen = []
    run_watch(["a" * 16, "abc$" + "$" * 12], (), seen.append)
    assert seen == [8 + 3, 16 + 3]


def test_the_watch_looks_back_far_enough_for_a_stop_string_of_many_tokens():
    watch, _ = run_watch(["x" * 50 + "é" * 20 + "!"], ("é" * 20,))
    assert watch.lengths == [70]


def draw(scores, steps, **options):
    sampler = CommonRandomNumbers(["a"], 0, options.get("temperature", 1.0), options.get("top_p", 1.0), steps)
    return [int(sampler(None, scores).argmax()) for _ in range(steps)]


def test_samples_follow_the_softmax_at_the_temperature():
    scores = torch.tensor([[1.0, 0.0, -1.0, float("-inf")]])
    expected = torch.softmax(scores[0] / 0.7, dim=-1)
    drawn = torch.tensor(draw(scores, 4000, temperature=0.7))
    found = torch.bincount(drawn, minlength=4) / 4000
    # three standard errors of a share at n = 4000
    assert torch.allclose(found, expected, atol=3 * 0.5 / 4000**0.5)
    assert found[3] == 0


def test_the_nucleus_is_that_of_transformers():
    scores = torch.randn(5, 50, generator=torch.Generator().manual_seed(0))
    for top_p in (0.1, 0.5, 0.9):
        theirs = torch.isfinite(TopPLogitsWarper(top_p)(None, scores))
        assert torch.equal(_nucleus(torch.softmax(scores, dim=-1), top_p) > 0, theirs)


def test_the_same_prompt_draws_the_same_numbers_in_any_batch():
    scores = torch.zeros(1, 1000)
    alone = CommonRandomNumbers(["b"], 3, 1.0, 1.0, 2)
    among = CommonRandomNumbers(["a", "b"], 3, 1.0, 1.0, 2)
    for _ in range(2):
        first = alone(None, scores).argmax(-1)
        both = among(None, scores.expand(2, -1)).argmax(-1)
        assert both[1] == first[0]
        assert both[0] != both[1]


@pytest.mark.parametrize(
    ("made", "opened", "thinking"),
    [
        ("<think>hm</think>Yes.$", "", 17),
        ("<think>hm", "", 9),
        ("hm</think>Yes.", "<think>", 10),
        ("Yes, <think> is a tag.", "", 0),
        ("Yes.", "<think>", 4),
    ],
)
def test_tokens_of_thinking_are_counted(made, opened, thinking):
    settings = GenerationSettings(thinking=Thinking(opened=opened))
    assert finish_row(tokens(made), None, tokens("$"), settings, spell).answer("q", 1).thinking_tokens == thinking
    assert finish_row(tokens(made), None, tokens("$"), GenerationSettings(), spell).thinking is None
