"""Several flights side by side on a processor's cores; on a GPU one.

The prompts are dealt out before the start, so that a run's rows are always in the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loralift.cores import side_by_side, sides
from loralift.generation.flight import Flight
from loralift.generation.lanes import attending
from loralift.records import Answer, Prompt

# Fewer rows would not pay for reading the weights once for each flight: a core makes some 25 operations in the time in
# which it reads a number from memory, and a row takes two of them a weight.
FEWEST_ROWS = 32


# A step is many short operations, which Python hands to all flights, one at a time. On 16 cores 648 rows took 7.5 s
# with one flight, 6.3, 7.1, 13.6 and 36 s with 2, 4, 8 and 16.
MOST_FLIGHTS = 2


class Flights:
    """Decoding of some prompts by one variant, a few steps at a time."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        slots: int,
        begin: Callable[[Sequence[Prompt], int], Flight],
    ) -> None:
        """Nothing large is allocated before the first ``advance``.

        Args:
            model: The transformers model itself, which ``can_fly``.
            prompts: Longest first; not empty.
            slots: Most rows in flight.
            begin: Prompts and slots to one of the flights among which they are dealt out.
        """
        self.slots = min(slots, len(prompts))
        count = max(min(sides(), MOST_FLIGHTS, self.slots // FEWEST_ROWS), 1) if model.device.type == "cpu" else 1
        self._model = model
        self._flights = [begin(prompts[place::count], -(-(self.slots - place) // count)) for place in range(count)]

    @property
    def done(self) -> bool:
        """Whether every prompt is answered."""
        return all(flight.done for flight in self._flights)

    @property
    def tokens(self) -> int:
        """Tokens made by the rows in flight."""
        return sum(flight.tokens for flight in self._flights)

    def unanswered(self) -> list[Prompt]:
        """The prompts whose answers have not been given, longest first."""
        rest = [prompt for flight in self._flights for prompt in flight.unanswered()]
        return sorted(rest, key=lambda prompt: (-len(prompt.token_ids), prompt.id))

    def advance(self) -> list[Answer]:
        """Go on until progress is due; gives the answers that ended.

        Raises:
            RuntimeError: What torch raises; the answers that ended meanwhile count as unanswered.
        """
        flying = [flight for flight in self._flights if not flight.done]
        share = 1 / len(flying)
        with attending(self._model, flying[0].attention):
            side_by_side(lambda flight: flight.advance(share), flying)
        return [answer for flight in flying for answer in flight.take_answers()]
