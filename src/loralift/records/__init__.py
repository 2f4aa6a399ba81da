"""The values that travel between the rooms: frozen dataclasses of plain values, nothing else.

::

    Question --generation--> Answer, ReferenceLikelihood --metrics--> Score --comparison--> MetricComparison

``Prompt`` is a question rendered once for every variant. ``Example`` is all that a metric may look at. ``MetricInfo``
is all that a comparison or a report must know of a metric. A *variant* is ``"base"`` or an adapter's name.
"""

from __future__ import annotations

from loralift.records.confounds import (
    PAIR_KINDS,
    AdapterProof,
    Confounds,
    Contribution,
    Leak,
    LengthAdjustment,
    NoiseFloor,
    PairKind,
    SliceComparison,
)
from loralift.records.figures import (
    Comparison,
    Interval,
    MetricComparison,
    MetricInfo,
    MetricSummary,
    Place,
    Ranking,
    SdkPairedTest,
    Verdict,
)
from loralift.records.judging import (
    JUDGE_PREFERENCE,
    CheckName,
    Judge,
    JudgeAgreement,
    Judged,
    JudgeProof,
    Judging,
    MetricAgreement,
    ProofCheck,
)
from loralift.records.parity import ModeParity, Parity, ParityVerdict
from loralift.records.protocols import (
    TRAINING,
    AgainstBest,
    CutComparison,
    Protocol,
    ProtocolResult,
    Protocols,
    Whichever,
    WhicheverWay,
)
from loralift.records.report import Finding, Report, Row
from loralift.records.rows import (
    BASE,
    LARGEST,
    Answer,
    Example,
    FinishReason,
    Plain,
    Prompt,
    Question,
    ReferenceLikelihood,
    Score,
    Style,
    Turn,
    conversation_of,
    turn_id,
)
from loralift.records.ties import ROUNDING, tied

__all__ = [
    "BASE",
    "JUDGE_PREFERENCE",
    "LARGEST",
    "PAIR_KINDS",
    "ROUNDING",
    "TRAINING",
    "AdapterProof",
    "AgainstBest",
    "Answer",
    "CheckName",
    "Comparison",
    "Confounds",
    "Contribution",
    "CutComparison",
    "Example",
    "Finding",
    "FinishReason",
    "Interval",
    "Judge",
    "JudgeAgreement",
    "JudgeProof",
    "Judged",
    "Judging",
    "Leak",
    "LengthAdjustment",
    "MetricAgreement",
    "MetricComparison",
    "MetricInfo",
    "MetricSummary",
    "ModeParity",
    "NoiseFloor",
    "PairKind",
    "Parity",
    "ParityVerdict",
    "Place",
    "Plain",
    "Prompt",
    "ProofCheck",
    "Protocol",
    "ProtocolResult",
    "Protocols",
    "Question",
    "Ranking",
    "ReferenceLikelihood",
    "Report",
    "Row",
    "Score",
    "SdkPairedTest",
    "SliceComparison",
    "Style",
    "Turn",
    "Verdict",
    "Whichever",
    "WhicheverWay",
    "conversation_of",
    "tied",
    "turn_id",
]
