"""Texts that a metric cannot see, for which its 0 or 1 would be a wrong number: they are not scored, and say why.

ROUGE finds no token in a Chinese text, BLEU and token F1 find one where there are fifty words. The rule is the same
for every metric: it is blind to a text if fewer than half of the text's letters and digits (Unicode's categories L
and N; combining marks belong to letters and do not count) lie in tokens that it knows. One token is not enough: of a
Chinese text with "ETF" in it, ROUGE would score three letters of a hundred.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loralift.metrics.base import Metric, MetricSettings, Unscorable
from loralift.records import Answer, Example, Question

MOST_UNSEEN = 0.5
"""Share of the rows that the metric that decides may be blind to: a verdict on fewer than half is none on the data."""

_ASCII_WORD = re.compile(r"[0-9A-Za-z]")
_NO_WORD = bytes(code for code in range(128) if chr(code) not in string.ascii_letters + string.digits)

UNSPACED = re.compile(
    "["
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\uaa80-\uaadf"  # Khmer, and the scripts of the Tai languages
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
    "\u3031-\u3035\u3040-\u312f\u31a0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"  # Japanese, Bopomofo
    "\ua000-\ua4cf"  # Yi
    "]+"
)
"""Letters of scripts that are written without spaces between words."""


def letters(text: str) -> int:
    """How many letters and digits a text has, of whatever script."""
    return sum(map(str.isalnum, text))


def _mostly_ascii(text: str) -> bool:
    """Whether surely half of the letters and digits are of ASCII: seen at once for nearly every text in English."""
    kept = text.encode("ascii", "ignore")
    return len(kept.translate(None, _NO_WORD)) >= len(text) - len(kept)


def outside_ascii(text: str) -> bool:
    """Whether fewer than half of the letters and digits are a-z and 0-9, or there is none at all."""
    if text.isascii():
        return _ASCII_WORD.search(text) is None
    if _mostly_ascii(text):
        return False
    seen = len(text.encode("ascii", "ignore").translate(None, _NO_WORD))
    return not seen or 2 * seen < letters(text)


def without_spaces(text: str) -> bool:
    """Whether more than half of the letters and digits are of scripts that do not separate words by spaces."""
    if text.isascii() or _mostly_ascii(text):
        return False
    return 2 * sum(map(letters, UNSPACED.findall(text))) > letters(text)


def reasons(who: str, why: str) -> tuple[str, str]:
    """What is said of a reference and of an answer to which a metric is blind; interned, for many rows say the same.

    Args:
        who: The metric, or what it looks through.
        why: Ends the sentence.
    """
    return tuple(sys.intern(f"{who} sees too little of the {side}: {why}") for side in ("reference", "answer"))  # type: ignore[return-value]


def blind_to(cannot_see: Callable[[str], bool], who: str, why: str) -> Unscorable:
    """A ``Metric.unscorable`` of a metric that counts what two texts share.

    A row whose reference the metric cannot see is never scored, whatever the answer: else only wrong answers, in other
    scripts, would be. An answer that it cannot see is not scored if it has a letter or digit of the reference. If it
    has none it shares no token, whatever the tokens are, and 0 is right; so it is for an empty answer.

    Of several references one must be seen, and an answer is not scored if it has a letter or digit of another that is
    not: how like that one it is remains unknown, and the best of the others may be too little.

    Args:
        cannot_see: Of a text.
        who: As in ``reasons``.
        why: As in ``reasons``.
    """
    of_reference, of_answer = reasons(who, why)

    def unscorable(examples: Sequence[Example], settings: MetricSettings) -> list[str | None]:
        found: list[str | None] = []
        for example in examples:
            answer, right = example.answer.text, example.question.references
            hidden = [reference for reference in right if cannot_see(reference)]
            if len(hidden) == len(right) or any(_share_a_letter(answer, reference) for reference in hidden):
                found.append(of_reference)
            else:
                shares = cannot_see(answer) and any(_share_a_letter(answer, reference) for reference in right)
                found.append(of_answer if shares else None)
        return found

    return unscorable


def _share_a_letter(one: str, other: str) -> bool:
    """Whether a letter or digit is in both texts, in whatever width and case; digits of all scripts are the same."""
    return not _letters_of(one).isdisjoint(_letters_of(other))


def _letters_of(text: str) -> set[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return {str(int(letter)) if letter.isdecimal() else letter for letter in folded if letter.isalnum()}


@dataclass(frozen=True, slots=True)
class Blindness:
    """How much of a data set a metric cannot score.

    Attributes:
        unseen: Rows whose references it is blind to.
        references: All that were looked at.
        reason: Why, of most of them; empty where it sees all.
    """

    unseen: int
    references: int
    reason: str = ""

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.unseen / self.references if self.references else 0.0


def blindness(metric: Metric, questions: Sequence[Question], settings: MetricSettings) -> Blindness:
    """Ask a metric which rows it could not score even if the answer were the reference itself.

    Args:
        metric: Any metric.
        questions: Of a data set.
        settings: The metrics'.

    Raises:
        LoraLiftError: What the metric says, e.g. that its model cannot be loaded.
    """
    if metric.unscorable is None or not questions:
        return Blindness(0, len(questions))
    right = [Example(question, Answer(question.id, question.reference)) for question in questions]
    counts = Counter(reason for reason in metric.unscorable(right, settings) if reason)
    return Blindness(counts.total(), len(questions), next((reason for reason, _ in counts.most_common(1)), ""))
