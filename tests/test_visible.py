"""What strangers wrote is shown so that it cannot act on a terminal."""

from __future__ import annotations

import pytest

from loralift.visible import clipped, one_line, visible


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x9b31m", "\u202eabc", "\ud800", "\u2028", "\x7f", "\r", "\x00"])
def test_what_acts_is_escaped(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert shown != text


@pytest.mark.parametrize("text", ["नमस्ते", "می‌خواهم", "👩‍🔬", "日本語", "a b"])
def test_writing_of_every_script_stays(text: str) -> None:
    assert visible(text) == text


def test_lines_stay_where_they_are_wanted() -> None:
    assert visible("a\n\tb\r", lines=True) == "a\n\tb\\r"
    assert one_line("a\n\tb\r", 10) == "a b"


def test_what_was_clipped_is_said() -> None:
    assert clipped("x" * 2_000, 10) == "xxxxxxxxxx… (1,990 more characters)"
    assert clipped("x" * 10, 10) == "xxxxxxxxxx"
