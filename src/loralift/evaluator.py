"""The Python API: metrics of predictions against references, and comparisons of two evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loralift import arguments
from loralift.comparison import Settings
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.metrics import (
    FAMILIES,
    METRICS,
    Metric,
    MetricSettings,
    bare,
    expand_names,
    metric_of,
    nrefs_of,
    own_metrics,
    with_weights,
)
from loralift.metrics.own_source import installed_names
from loralift.nemo.summaries import PREDICTION_METRICS, summarise_all
from loralift.records import (
    BASE,
    OF_MODELS,
    Answer,
    Comparison,
    Example,
    MetricInfo,
    MetricSummary,
    Question,
    Score,
    Thinking,
)
from loralift.workflow.comparing import compare_scores, primary_of, refuse_unscored
from loralift.workflow.sides.making import made_differently, refuse_other_meaning
from loralift.workflow.sides.pairing import averaged, clusters
from loralift.workflow.sides.side import Side, document

METRIC_NAMES = "a list of metric names, each once"
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Evaluation(Mapping[str, float | None]):
    """The metrics of one set of predictions: a mapping of metric to aggregate, with all that stands behind it.

    Attributes:
        name: What a comparison calls it.
        scores: One Score a row, in the order of the predictions.
        summaries: Metric to its mean, median, standard deviation and 95 % CI.
        metrics: Metric to what is known of it, its signature among it.
        references: Row id to its ground truths: what a comparison makes sure of.
    """

    name: str
    scores: tuple[Score, ...]
    summaries: Mapping[str, MetricSummary]
    metrics: Mapping[str, MetricInfo]
    references: Mapping[str, tuple[str, ...]]

    def __getitem__(self, metric: str) -> float | None:
        return self.summaries[metric].value

    def __iter__(self) -> Any:
        return iter(self.summaries)

    def __len__(self) -> int:
        return len(self.summaries)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Calculates metrics through NeMo Evaluator's `run_evaluation`, and compares.

    >>> evaluator = Evaluator(metrics=["rouge", "f1"])
    >>> base = evaluator.evaluate(predictions=["the cat"], references=["the cat sat"])
    >>> round(base["rouge1"], 3)
    0.8

    Attributes:
        metrics: Names as `loralift run --metrics` knows them; "rouge" stands for `rouge_types`. And metrics of your
            own: a function, FILE.py:FUNCTION, or the name of an installed one. None: all of ours that need nothing
            but the texts (perplexity needs the model).
        semantic_similarity_model: "sbert" (all-MiniLM-L6-v2), a hub id or a folder.
        rouge_types: What "rouge" stands for.
        rouge_stemmer: Whether ROUGE compares Porter stems.
        tokenizer: Of BLEU, ROUGE and token F1, as `loralift run --tokenizer` knows it; None: for English.
        bert_score_model: A hub id or a folder; None: roberta-large.
        bert_score_layers: Which of its layers bert_score compares; None: the one it was tuned to.
        metric_batch_size: Texts that a metric's model takes at a time; an embedding model 32 at most, 2 on a CPU.
        device: Of the embedding models; None: a GPU if there is one.
        seed: Of every resampling.
        thinking: "part": thinking (<think>…</think> and the like) is parted from predictions, and the answer alone is
            scored; "keep": all of it is.
        names: The metrics that are calculated.
        own: Those among them that are your own.

    Raises:
        UsageError: A metric is unknown, or none is given.
        MetricError: A metric of your own cannot be loaded.
    """

    metrics: Sequence[str | Callable[..., Any]] | None = None
    semantic_similarity_model: str = "sbert"
    rouge_types: Sequence[str] = ROUGE_TYPES
    rouge_stemmer: bool = False
    tokenizer: str | None = None
    device: str | None = None
    seed: int = 0
    bert_score_model: str | None = None
    bert_score_layers: int | None = None
    metric_batch_size: int = 32
    thinking: str = "part"
    names: tuple[str, ...] = field(init=False)
    own: tuple[Metric, ...] = field(init=False)

    def __post_init__(self) -> None:
        for field_name in ("semantic_similarity_model", "bert_score_model", "device"):
            if (value := getattr(self, field_name)) is not None or field_name == "semantic_similarity_model":
                arguments.name(field_name, value, "a name")
        for field_name in ("bert_score_layers", "metric_batch_size"):
            if (value := getattr(self, field_name)) is not None or field_name == "metric_batch_size":
                object.__setattr__(self, field_name, arguments.whole_number(field_name, value, 1, 100_000))
        arguments.seed("seed", self.seed)
        if not isinstance(self.rouge_stemmer, bool):
            raise UsageError(wrong_argument("rouge_stemmer", "True or False", self.rouge_stemmer))
        if self.thinking not in ("part", "keep"):
            raise UsageError(wrong_argument("thinking", "part or keep", self.thinking))
        MetricSettings(tokenizer=self.tokenizer)  # refuses an unknown one
        types = arguments.names("rouge_types", self.rouge_types, METRIC_NAMES)
        asked, own = _asked(PREDICTION_METRICS if self.metrics is None else self.metrics)
        object.__setattr__(self, "own", own)
        names: list[str] = []
        for name in asked:
            names += types if name == "rouge" else [name]
        object.__setattr__(self, "names", expand_names(names, own))

    def evaluate(
        self,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        questions: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        name: str = "predictions",
    ) -> Evaluation:
        """Score predictions against references.

        Args:
            predictions: The answers.
            references: As many ground truths, in the same order; where a row has several, a list of them, of which
                blank and equal ones count once or not at all.
            questions: As many questions, for the metrics that look at them.
            ids: What a comparison pairs rows by; None: their position.
            name: What a comparison calls this evaluation.

        Raises:
            UsageError: The lists are empty, of different lengths, or hold something else than texts.
        """
        from loralift.nemo.scoring import score_recorded

        arguments.name("name", name, "a name")
        predictions, right = _in_order("predictions", predictions), _in_order("references", references)
        truths = [_truths(row, texts) for row, texts in enumerate(right)]
        ids = [str(row) for row in range(len(predictions))] if ids is None else _in_order("ids", ids)
        questions = [""] * len(predictions) if questions is None else _in_order("questions", questions)
        _check_lists(predictions=predictions, references=[of[0] for of in truths], questions=questions, ids=ids)
        examples = [
            Example(Question(i, question, of[0], others=of[1:]), Answer(i, prediction))
            for i, question, of, prediction in zip(ids, questions, truths, predictions, strict=True)
        ]
        settings = self._settings(nrefs_of(example.question for example in examples))
        scores, _ = score_recorded(examples, self.names, settings, primary=self.names[0], variant=name)
        settings = with_weights(settings, self.names)
        infos = {metric: metric_of(metric, settings).info(settings) for metric in self.names}
        found = Evaluation(name, tuple(scores), {}, infos, dict(zip(ids, truths, strict=True)))
        return replace(found, summaries=summarise_all(scores, infos, self.seed, clusters(_side(found))))

    def compare(
        self,
        a: Evaluation,
        b: Evaluation,
        *,
        primary: str | None = None,
        margins: Mapping[str, float] | None = None,
    ) -> Comparison:
        """Say whether `b` is better than `a`, on rows paired by id.

        Args:
            a: The baseline.
            b: The candidate.
            primary: The metric that decides; None: semantic_similarity, or else the first judged one.
            margins: Metric to equivalence margin, where it is not the metric's own.

        Raises:
            ComparisonError: The two share no row, an id stands for another reference on the other side, or the
                primary metric cannot score most of the rows.
            UsageError: They share no judged metric, or the primary one is not among them.
        """
        for argument, value in (("a", a), ("b", b)):
            if not isinstance(value, Evaluation):
                raise UsageError(wrong_argument(argument, "what Evaluator.evaluate gives", value))
        if primary is not None:
            arguments.name("primary", primary, "the name of a metric")
        other = [i for i, truth in a.references.items() if b.references.get(i, truth) != truth]
        if other:
            raise ComparisonError(
                f"{len(other)} ids stand for another reference on the other side ({some(other)}): give the "
                "evaluations ids of their own"
            )
        shared = {name: info for name, info in a.metrics.items() if name in b.metrics}
        for name, info in shared.items():
            refuse_other_meaning(info, b.metrics[name])
        judged = [name for name, info in shared.items() if info.higher_is_better is not None]
        if not judged or (primary and primary not in judged):
            raise UsageError(wrong_argument("primary", f"one of {some(judged, 20)}", primary))
        names = (a.name, b.name) if a.name != b.name else (f"{a.name} a" if a.name != BASE else BASE, f"{b.name} b")
        sides = _side(a), _side(b)
        comparison, _ = compare_scores(
            (names[0], a.scores),
            {names[1]: b.scores},
            shared,
            Settings(primary=primary or primary_of(judged), margins={} if margins is None else margins, seed=self.seed),
            clusters=clusters(*sides),
        )
        refuse_unscored(comparison)
        doubts = {name: made_differently(info, b.metrics[name]) for name, info in shared.items()}
        doubts[comparison.primary] = (*averaged(*sides), *doubts[comparison.primary])
        rows = tuple(replace(row, warnings=(*row.warnings, *doubts[row.metric])) for row in comparison.rows)
        return replace(comparison, rows=rows)

    def _settings(self, nrefs: str) -> MetricSettings:
        return MetricSettings(
            nrefs=nrefs,
            tokenizer=self.tokenizer,
            semantic_similarity_model=self.semantic_similarity_model,
            rouge_stemmer=self.rouge_stemmer,
            bert_score_model=self.bert_score_model,
            bert_score_layers=self.bert_score_layers,
            batch_size=self.metric_batch_size,
            device=self.device,
            own=self.own,
            thinking=Thinking(OF_MODELS, keep=self.thinking == "keep"),
        )


def _side(of: Evaluation) -> Side:
    """An evaluation as one side of a comparison."""
    documents = {row: document("", truths[0], truths[1:]) for row, truths in of.references.items()}
    return Side(of.name, of.scores, of.metrics, ours=True, documents=documents)


def _asked(metrics: Sequence[str | Callable[..., Any]]) -> tuple[list[str], tuple[Metric, ...]]:
    """The names of all metrics in order, and those that are the user's own."""
    given = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping | set | frozenset):
        raise UsageError(wrong_argument("metrics", METRIC_NAMES, metrics))
    given = list(given)
    places = [place for place, one in enumerate(given) if callable(one) or _is_own(one)]
    own = own_metrics("metrics", [given[place] for place in places])
    named = {place: metric.name for place, metric in zip(places, own, strict=True)}
    return arguments.names("metrics", [named.get(at, one) for at, one in enumerate(given)], METRIC_NAMES), own


def _is_own(name: object) -> bool:
    """Whether a text names a file's function, or an installed metric that is none of ours."""
    if not isinstance(name, str) or bare(name) in map(bare, [*METRICS, *FAMILIES]):
        return False
    return name.endswith(".py") or ".py:" in name or name in installed_names()


def _truths(row: int, value: object) -> tuple[Any, ...]:
    """A row's ground truths: one of any kind, which is checked with the others, or the texts of a list."""
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        return (value,)
    if not value or isinstance(value, bytes | set | frozenset) or not all(isinstance(text, str) for text in value):
        raise UsageError(wrong_argument("references", "texts, or lists of texts", f"{value!r} at position {row}"))
    return tuple(dict.fromkeys(filter(str.strip, value))) or (value[0],)


def _in_order(name: str, values: Iterable[Any]) -> list[Any]:
    """Texts as a list, from whatever has them in an order: a set would pair any answer with any reference."""
    if isinstance(values, str | bytes | set | frozenset | Mapping) or not isinstance(values, Iterable):
        raise UsageError(wrong_argument(name, "a list of texts, in order", values))
    return list(values)


def _check_lists(**lists: Sequence[str]) -> None:
    if not lists["predictions"]:
        raise UsageError(wrong_argument("predictions", "at least one text", lists["predictions"]))
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(f"the lists must be of one length, got {told}")
    for name, values in lists.items():
        for position, value in enumerate(values):
            if isinstance(values, str) or not isinstance(value, str):
                raise UsageError(wrong_argument(name, "a list of texts", f"{value!r} at position {position}"))
    if len(set(lists["ids"])) < len(lists["ids"]):
        raise UsageError("`ids` must be unique, got one of them twice")
