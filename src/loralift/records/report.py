"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loralift.records.confounds import AdapterProof, Confounds
from loralift.records.figures import Comparison, MetricInfo, MetricSummary, SdkPairedTest
from loralift.records.judging import Judging
from loralift.records.protocols import Protocols
from loralift.records.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about what was found, and the figures that it is made of.

    Attributes:
        text: The sentence.
        figures: Where each figure in it comes from: a Python expression to its value, over comparison.json's ``rows``,
            ``alpha``, ``sweep`` and ``confounds``, the variants' ``summaries``, the adapters' ``proofs`` and ``also``,
            further data set to its comparison; e.g. ``rows[3].difference`` or ``also['opinions'].rows[3].difference``.
            A sentence writes a number as tables do, perhaps without its sign, or in words.
        severity: ``warning`` where it puts a verdict in doubt.
        candidate: The adapter that it is about; None: none, or all.
    """

    text: str
    figures: Mapping[str, float | str]
    severity: Literal["info", "warning"] = "info"
    candidate: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One question with what every variant answered and what it is worth, for reading.

    Attributes:
        id: Of the row; of a question answered several times each answer is a row.
        question: As in the data.
        reference: As in the data, full length.
        answers: Variant to its answer, without thinking; none where thinking never finished: there is no answer.
        values: Variant to metric to value; None where the answer cannot be scored. In a comparison of what lay on the
            disk a candidate that lacks the row is not among the variants.
        parts: Slice column to the part that the row is in, as the slices of the comparison are cut.
        question_id: Of the question where it was answered several times, and its answers are averaged before they are
            compared; empty where this row is its only one.
        thinking: Variant to the thinking that was parted from its answer; none where there was none.
    """

    id: str
    question: str
    reference: str
    answers: Mapping[str, str]
    values: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    question_id: str = ""
    thinking: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything a report shows; equal to itself alone, so that what is counted over its rows can be remembered.

    Attributes:
        title: What was evaluated on what.
        variants: In the order of the columns, the baseline first.
        metrics: Metric name to what is known of it, in the order of the rows.
        summaries: Variant to metric to its aggregate.
        comparison: None where there was nothing to compare.
        sdk_tests: NeMo Evaluator's own paired tests.
        confounds: What else may stand behind the differences.
        findings: What was found, in words.
        proofs: That the adapters act.
        also: Further data set to its comparison.
        facts: How it was made: label to value.
        notes: What a reader must know of the data, one sentence each.
        rows: Every row that is compared, in the order of the data.
        refused: Adapter that was left out to why.
        protocols: What becomes of the verdict when all are asked another way; None where they were asked in one.
        judging: What judges found; None where none was asked.
        sweep: The adapters as a sweep; None where they are none.
        asked: Further protocol to every row under it, as many as ``rows`` and in their order.
        inputs: Of a comparison of what lay on the disk: variant to its place; empty for a run.
    """

    title: str
    variants: tuple[str, ...]
    metrics: Mapping[str, MetricInfo]
    summaries: Mapping[str, Mapping[str, MetricSummary]]
    comparison: Comparison | None = None
    sdk_tests: tuple[SdkPairedTest, ...] = ()
    confounds: Confounds = field(default_factory=Confounds)
    findings: tuple[Finding, ...] = ()
    proofs: tuple[AdapterProof, ...] = ()
    also: Mapping[str, Comparison] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: Sequence[Row] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    protocols: Protocols | None = None
    judging: Judging | None = None
    sweep: Sweep | None = None
    asked: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_candidates(self) -> str:
        """What a candidate is called: nobody knows whether what lay on the disk is of an adapter."""
        return "candidate" if self.inputs else "adapter"

    def has(self, text: Literal["question", "reference"]) -> bool:
        """Whether any row has one; always so in a run."""
        return any(getattr(row, text) for row in self.rows)

    @property
    def answering(self) -> tuple[str, ...]:
        """The variants of which there are answers to read; in a run all."""
        return tuple(
            name for name in self.variants if any(name in row.answers or name in row.thinking for row in self.rows)
        )
