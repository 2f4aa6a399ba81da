"""What stands between a chat's prompt and its answer, as training on whole conversations sees it.

Many a template writes something there: Llama-2's a space, Qwen3's an empty ``<think>`` block before the last answer. A
reference that is scored without it stands where no training put one, and the better adapter has the worse perplexity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loralift.errors import ModelError, shown

PROBE = "An answer to be found again."


@dataclass
class Aheads:
    """What the chat template wrote ahead of the answers of one data set's rows.

    Attributes:
        found: Each such text, and of how many rows.
        lost: How many rows' references the template does not write behind their prompts as they stand.
    """

    found: Counter[str] = field(default_factory=Counter)
    lost: int = 0

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
        total = self.lost + self.found.total()
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


def _behind(prompt: str, answer: str, written: Callable[[str], str]) -> str | None:
    """What the template writes behind a prompt when it goes on with an answer; None: another conversation."""
    try:
        whole = written(answer)
    except ModelError:
        return None
    return whole[len(prompt) :] if whole.startswith(prompt) else None
