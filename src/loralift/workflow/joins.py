"""What stands between a prompt and its answer, as training on the whole text sees it.

Many a chat template writes something there: Llama-2's a space, Qwen3's an empty ``<think>`` block before the last
answer. A reference that is scored without it stands where no training put one, and the better adapter has the worse
perplexity.

A prompt that ends in a space ends in a token of that space, which training on prompt and answer as one text did not
see: tokenizers put it at the front of the answer's first word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched

from loralift.errors import ModelError, shown
from loralift.generation import Generator

PROBE = "An answer to be found again."

AT_ONCE = 1_000
"""How many rows are tokenised at a time."""


@dataclass
class Joins:
    """How the prompts and answers of one data set's rows are joined.

    Attributes:
        moves: Whether the spaces at the prompts' ends stand in front of the answers.
        found: Each text that the chat template writes ahead of answers, and of how many rows.
        lost: How many rows' references the template does not write behind their prompts as they stand.
        moved: How many prompts ended in spaces that stand in front of the answers.
        spanned: Of how many rows a token spans prompt and answer.
        rows: How many there are.
    """

    moves: bool = False
    found: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    moved: int = 0
    spanned: int = 0
    rows: int = 0

    def parted(self, text: str) -> tuple[str, str]:
        """A prompt as it is asked, and what of it stands in front of the answer."""
        asked = text.rstrip(" ")
        if not self.moves or asked in ("", text):
            return text, ""
        self.moved += 1
        return asked, text[len(asked) :]

    def count(self, generator: Generator, rows: Sequence[tuple[str, str]]) -> None:
        """Count the rows of which a token spans prompt and answer.

        Args:
            generator: The model.
            rows: Prompts, each with what stands behind it.
        """
        self.spanned += sum(_spanned(generator, rows))

    def find(self, prompt: str, reference: str, written: Callable[[str], str]) -> str | None:
        """What stands between a prompt and its reference; None where the template does not write them so.

        Row by row, since it may be another for each: Qwen3's writes no empty thinking before a reference that thinks.

        Args:
            prompt: As the template renders it, up to where it lets the model go on.
            reference: White space at its end, which templates may drop, aside.
            written: Renders the conversation with an answer.
        """
        rest = _behind(prompt, reference, written)
        ahead = None if rest is None else self._ahead(prompt, rest, reference.rstrip(), written)
        if ahead is None:
            self.lost += 1
        else:
            self.found[ahead] += 1
        return ahead

    def _ahead(self, prompt: str, rest: str, reference: str, written: Callable[[str], str]) -> str | None:
        """Of what was found before the first that fits, else what stands before another answer, else nothing."""
        for ahead in self.found:
            if rest.startswith(ahead + reference):
                return ahead
        # by a text that stands nowhere else, since a short reference may stand in what the template writes
        probe = _behind(prompt, PROBE, written) or ""
        ahead, found, _ = probe.partition(PROBE)
        if found and rest.startswith(ahead + reference):
            return ahead
        return "" if rest.startswith(reference) else None

    def notes(self) -> Iterator[str]:
        """What a reader must know of them, one sentence each."""
        total = self.rows
        for ahead, rows in self.found.items():
            if ahead:
                which = "an answer" if rows == total else f"the answers of {rows} of {total} rows"
                yield (
                    f"In training the chat template writes {shown(ahead)} between the prompt and {which}: perplexity "
                    "is of references behind that, and answers are generated behind the prompt alone."
                )
        if self.lost:
            yield (
                f"The chat template does not write the references of {self.lost} of {total} rows behind their prompts "
                "as they stand (it opens thinking there, or changes or refuses the conversation), so where training "
                "put them is not known and their perplexity is null."
            )
        if self.moved:
            yield (
                f"{self.moved} of {total} prompts end in a space, which is of the answer's first word in the tokens "
                "that training on both as one text sees: they are asked without it, and it is scored before the "
                "reference, as in lm-evaluation-harness."
            )
        if self.spanned:
            yield (
                f"In {self.spanned} of {total} rows a token spans the end of the prompt and the beginning of its "
                "reference, so they are asked in other tokens than training on both as one text sees, and answers and "
                "perplexity may be far off: end prompts where a word ends, without a space, and begin references with "
                "it."
            )


def _behind(prompt: str, answer: str, written: Callable[[str], str]) -> str | None:
    """What the template writes behind a prompt when it goes on with an answer; None: another conversation."""
    try:
        whole = written(answer)
    except ModelError:
        return None
    return whole[len(prompt) :] if whole.startswith(prompt) else None


def moves_spaces(generator: Generator, rows: Iterable[tuple[str, str]]) -> bool:
    """Whether spaces at the ends of prompts are joined with their answers, in most of the rows that have them.

    Of all or of none, since what a prompt ends in must not tell how its answer begins: "5" takes no space, "five" does.

    Args:
        generator: The model; where nobody has its tokenizer, it is taken for one that joins them.
        rows: Prompts and references.
    """
    ended = spanned = 0
    for some in batched(((text, answer) for text, answer in rows if text.endswith(" ")), AT_ONCE):
        ended += len(some)
        spanned += sum(_spanned(generator, some))
    return ended > 0 and (2 * spanned > ended or not generator.tokenizer.get_vocab())


def _spanned(generator: Generator, rows: Sequence[tuple[str, str]]) -> Iterator[bool]:
    """Whether a prompt's tokens are not those at the front of it and what stands behind it."""
    if rows:
        asked = generator.encode([text for text, _ in rows], False)
        whole = generator.encode([text + behind for text, behind in rows], False)
        yield from (joined[: len(own)] != own for own, joined in zip(asked, whole, strict=True))
