"""What is found out of an architecture: plain values, which travel between processes and into files."""

from __future__ import annotations

from dataclasses import dataclass, field

TOLERANCE = 1e-3
"""Nats a token, in float32: rounding alone was seen to make 1e-4 of models with weights this wide, faults make 0.01."""

BFLOAT16_TOLERANCE = 0.02
"""Nats a token, between bfloat16 and float32."""


@dataclass(slots=True)
class Compared:
    """One variant beside the truth.

    Attributes:
        differing: Answers that are not the truth's, near ties left out.
        near_ties: Answers that part where the truth's best two logits are so close that rounding chooses.
        answers: How many there are.
        changed: How many of them are not the base's, by the truth.
        worst: The largest difference of a reference's log-likelihood, in nats a token; infinite where one is no
            number. In 16 bits that of all but one in twenty.
        error: What went wrong instead, in one line.
        tolerance: What ``worst`` may be.
    """

    differing: int = 0
    near_ties: int = 0
    answers: int = 0
    changed: int = 0
    worst: float = 0.0
    error: str | None = None
    tolerance: float = TOLERANCE

    @property
    def equal(self) -> bool:
        """Whether it is the truth's."""
        return self.error is None and self.differing == 0 and self.worst <= self.tolerance


@dataclass(slots=True)
class Result:
    """One architecture.

    Attributes:
        name: Of ``tiny.names()``.
        model_class: transformers' name of its class.
        way: ``loop``, ``generate``, or ``refused``; ``crashed`` where the engine cannot say for a traceback, ``not
            built`` where there is no tiny model, ``not asked`` where transformers itself cannot answer, ``died`` where
            the process did.
        variants: By name: ``base``, ``lora`` (all linear layers), ``experts`` (these and all experts).
        notes: What else is to be told, a sentence each.
    """

    name: str
    model_class: str = ""
    way: str = "not built"
    variants: dict[str, Compared] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether all that was asked is the truth's."""
        return bool(self.variants) and all(one.equal for one in self.variants.values())


def one_line(cause: BaseException) -> str:
    """An exception in one line."""
    lines = str(cause).strip().splitlines() or [""]
    return f"{type(cause).__name__}: {lines[0].strip()}"[:240]
