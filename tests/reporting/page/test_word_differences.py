from __future__ import annotations

import time

from loralift.reporting.page.word_differences import compact, word_differences


def marked(before: str, after: str) -> tuple[list[str], list[str]] | str:
    found = word_differences(before, after)
    if isinstance(found, str):
        return found
    return ([before[a:b] for a, b in found[0]], [after[a:b] for a, b in found[1]])


def test_the_words_that_are_not_paired_are_marked() -> None:
    assert marked("the cat sat on a mat", "the dog sat on the mat") == (["cat", "a"], ["dog", "the"])
    assert marked("one two", "one two three") == ([], ["three"])
    assert marked("pay the tax now.", "pay the tax now!") == (["."], ["!"])


def test_an_answer_that_is_kept_and_continued_is_marked_where_it_goes_on() -> None:
    kept = " ".join(f"kept{number}" for number in range(20))
    more = " ".join(f"more{number}" for number in range(100))
    assert marked(kept, f"{kept} {more}") == ([], [more])
    assert marked(f"{more} {kept}", kept) == ([more], [])


def test_equal_texts_have_no_marks_and_texts_without_common_words_cannot_be_marked() -> None:
    assert marked("a b c", "a b c") == ([], [])
    assert marked("a  b", "a b") == ([], [])
    assert marked("alpha beta gamma", "one two three") == "different"
    assert marked("", "one two three") == ([], [])
    assert marked("", "") == ([], [])


def test_a_short_coincidence_between_two_longer_changes_is_no_island() -> None:
    before = "keep these words here alpha beta gamma the delta epsilon zeta and these words too"
    after = "keep these words here one two three the four five six and these words too"
    found = marked(before, after)
    assert found == (["alpha beta gamma the delta epsilon zeta"], ["one two three the four five six"])


def test_words_without_spaces_are_characters() -> None:
    assert marked("我喜欢猫和茶", "我喜欢狗和茶") == (["猫"], ["狗"])


def test_lengths_are_counted_as_a_browser_counts() -> None:
    text = "😀 a bcd"
    assert compact(text, [(2, 3), (4, 7)]) == [3, 1, 1, 3]
    assert compact("plain", []) == []


def test_a_hundred_thousand_characters_are_compared_quickly() -> None:
    before = "the quick brown fox jumps over it " * 3_000
    after = before.replace("fox", "cat", 500)[:100_000]
    start = time.process_time()
    assert len(word_differences(before, after)[1]) == 501  # with the last word, which is cut
    assert len(word_differences("漢字" * 25_000, "漢子" * 25_000)[1]) == 25_000
    assert word_differences("a " * 100_000, "b " * 100_000) == "long"
    assert time.process_time() - start < 5
