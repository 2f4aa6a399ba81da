"""`loralift compare`: compare sides on the disk, a baseline and candidates, from LoraLift or another tool.

What a side may be is in `loralift.workflow.sides`. A file of scores says nothing of its columns but their names, so
before a verdict each judged metric must have a direction and one scale, and there is no margin but a declared one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from loralift import arguments
from loralift.comparison import Settings
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.metrics import Metric
from loralift.records import OF_MODELS, Comparison, MetricInfo, SdkPairedTest, Thinking
from loralift.workflow.comparing import compare_scores, primary_of, refuse_unscored
from loralift.workflow.sides import making
from loralift.workflow.sides.agreeing import read_alike, same_ids
from loralift.workflow.sides.differing import allowed_fields
from loralift.workflow.sides.pairing import averaged, clusters, same_rows
from loralift.workflow.sides.reading import read_side
from loralift.workflow.sides.scale_rules import Scale
from loralift.workflow.sides.scales import SCALES, Scaled, on_one_scale
from loralift.workflow.sides.side import Side

RESAMPLES = 10_000
LARGE_MARGIN = 0.1
"""The largest plausible margin where all values are within 0 to 1 and no scale was declared; a larger one is more
likely meant for values from 0 to 100."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says about a comparison, besides its two sides.

    Attributes:
        primary: The metric that decides; None: the run's, else semantic_similarity, else the first that is judged.
        margins: Metric to equivalence margin, before the run's own.
        scales: ``METRIC``, or ``baseline:METRIC`` or ``candidate:METRIC``, to its smallest and largest value.
        higher_is_better: Metrics of which more is better, whatever their names suggest.
        lower_is_better: Metrics of which less is better.
        seed: Seed of every resampling; None: the run's, else 0.

    Raises:
        UsageError: One of them is something else.
    """

    primary: str | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    higher_is_better: Collection[str] = ()
    lower_is_better: Collection[str] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        checked: dict[str, object] = {"margins": arguments.margins("--margin", self.margins)}
        checked["scales"] = arguments.mapping("--scale", self.scales, SCALES)
        for flag, field_name in (("--higher-is-better", "higher_is_better"), ("--lower-is-better", "lower_is_better")):
            checked[field_name] = arguments.any_names(flag, getattr(self, field_name), "names of metrics, each once")
        if self.primary is not None:
            checked["primary"] = arguments.name("--primary", self.primary, "the name of a metric")
        if self.seed is not None:
            checked["seed"] = arguments.seed("--seed", self.seed)
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def compare_sides(
    baseline: Path,
    candidate: Path,
    metrics: Sequence[str] | None = None,
    asked: Asked | None = None,
    *further: Path,
    **how: Any,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare sides on the disk: `read_sides`, then `compare_read`.

    Args:
        baseline: The side compared against.
        candidate: The side judged.
        metrics: What to score predictions with, or which metrics of the scores to take; None: all that fit.
        asked: What is said of the comparison; None: nothing.
        further: Further candidates.
        how: As in `read_sides`.

    Raises:
        ComparisonError: The sides share no metric or no row, are of different data or scales, or were asked otherwise.
        RunDirectoryError: A side cannot be read.
        UsageError: The primary metric is not among those that all sides have, or has no known direction.
    """
    sides = read_sides(baseline, candidate, metrics, further=further, **how)
    return compare_read(sides, asked)


def read_sides(
    baseline: Path,
    candidate: Path,
    metrics: Sequence[str] | None,
    filter_name: str | None = None,
    tokenizer: str | None = None,
    own: Sequence[Metric] = (),
    thinking: str | None = None,
    *,
    further: Sequence[Path] = (),
    allow_different: Collection[str] = (),
) -> tuple[Side, ...]:
    """Read all sides, and give them different names.

    Args:
        baseline: A run's variant, what `nel` wrote of our benchmark, or a .jsonl: of scores, of predictions, or an
            log of another tool.
        candidate: Likewise.
        metrics: As in `compare_sides`.
        filter_name: Which filter of sample logs; None: the first that all of them have.
        tokenizer: To score predictions with, one of `loralift.metrics.base.TOKENIZERS`; None: for English.
        own: Metrics of the user's own, which score the answers of all sides besides.
        thinking: Whether thinking is parted from predictions (``part``) or scored with them (``keep``); None: parted.
            Of a run it is as it was scored there.
        further: Further candidates.
        allow_different: What may differ between baseline and candidate, of `loralift.workflow.sides.asked.FIELDS`.

    Returns:
        The baseline and the candidates.

    Raises:
        ComparisonError: Lines of a file are neither scores nor predictions, or two sides are of different data or were
            asked otherwise.
        RunDirectoryError: There is no such side, or it cannot be read.
        UsageError: A metric is unknown, or no side has such a filter, or none is scored here with the tokenizer.
    """
    if thinking not in (None, "part", "keep"):
        raise UsageError(wrong_argument("--thinking", "part or keep", thinking))
    allowed, how = allowed_fields(allow_different), Thinking(OF_MODELS, keep=thinking == "keep")
    paths = (baseline, candidate, *further)

    def read(path: Path, taken: str | None, ids: str | None) -> Side:
        return read_side(path, metrics, taken, tokenizer, own, how, ids)

    sides = read_alike(paths, filter_name, read)
    if thinking is not None and not any(side.scored for side in sides):
        raise UsageError(
            "`--thinking` is for answers that are scored here, and all sides have their scores: leave it out, or "
            "score a run again with loralift run … --resume --thinking"
        )
    if tokenizer is not None and not any(side.scored for side in sides):
        raise UsageError("`--tokenizer` is for answers that are scored here, and all sides have scores already")
    if filter_name is not None and not any(side.filters for side in sides):
        raise UsageError("`--filter` is for lm-evaluation-harness sample logs, and no side is one")
    before, *others = _named(sides, paths)
    alike = (
        same_ids(before, same_rows(before, after, f"{baseline} and {path}", allowed))
        for after, path in zip(others, paths[1:], strict=True)
    )
    return (before, *alike)


def _named(sides: Sequence[Side], paths: Sequence[Path]) -> list[Side]:
    """The sides under names that differ: their own, or their files', or with what they are."""
    names, stems = [side.name for side in sides], [path.stem for path in paths]
    if len(set(names)) < len(names) and len(set(stems)) == len(stems):
        names = stems
    for place in range(1, len(names)):
        if names[place] in names[:place]:
            # a file may be called what we would call another one
            ends = (f" (candidate {number})" for number in count(place)) if len(names) > 2 else (" (candidate)",)
            names[place] = next(name for end in ends if (name := names[place] + end) not in names)
    return [replace(side, name=name) for side, name in zip(sides, names, strict=True)]


def compare_read(sides: Sequence[Side], asked: Asked | None = None) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare sides on the metrics that all have; notes about the sides become warnings of the primary rows.

    Margins, seed and resamples that are not given are those of the baseline's run, else of the first candidate's that
    is one.

    Args:
        sides: The baseline and the candidates.
        asked: What is said of the comparison; None: nothing.

    Raises:
        ComparisonError: The sides share no metric or no row, seem to be on different scales, or the primary metric
            cannot score most of the rows.
        UsageError: The primary metric is not among those that all sides have, or has no known direction.
    """
    return compare_prepared(prepare(sides, asked))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Sides that can be compared.

    Attributes:
        sides: The baseline and the candidates, every judged metric on one scale.
        metrics: The metrics that all have.
        settings: How to compare.
        notes: Candidate to metric to what a reader must know.
    """

    sides: tuple[Side, ...]
    metrics: Mapping[str, MetricInfo]
    settings: Settings
    notes: Mapping[str, Mapping[str, tuple[str, ...]]]


def prepare(sides: Sequence[Side], asked: Asked | None = None) -> Prepared:
    """Bring sides onto the same metrics and scales, or refuse; arguments and errors are those of `compare_read`."""
    asked, (before, *others) = asked or Asked(), sides
    shared = _of_all([_directed(_shared(before, after), before, after, asked) for after in others], sides)
    chosen = _primary(shared, sides, asked)
    pairs = [on_one_scale(before, after, shared, asked.scales) for after in others]
    metrics = _on_one_scale_all(pairs, others)
    scaled = (pairs[0].before, *(pair.after for pair in pairs))
    settings = _settings(scaled, metrics, frozenset().union(*(pair.assumed for pair in pairs)), chosen, asked)
    notes = {}
    for after, pair in zip(others, pairs, strict=True):
        of_metrics = {name: tuple(_notes(name, pair, before, after)) for name in shared}
        of_metrics[chosen] = (*dict.fromkeys(_about_all(sides, after, shared)), *of_metrics[chosen])
        notes[after.name] = of_metrics
    return Prepared(scaled, metrics, settings, notes)


def compare_prepared(prepared: Prepared) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare sides that `prepare` brought onto the same metrics."""
    before, *others = prepared.sides
    candidates = {side.name: side.scores for side in others}
    of = clusters(*prepared.sides)
    comparison, tests = compare_scores(
        (before.name, before.scores), candidates, prepared.metrics, prepared.settings, clusters=of
    )
    refuse_unscored(comparison)
    rows = tuple(
        replace(row, warnings=(*row.warnings, *prepared.notes[row.candidate][row.metric])) for row in comparison.rows
    )
    return replace(comparison, rows=rows), tests


def _of_all(shared: Sequence[Mapping[str, MetricInfo]], sides: Sequence[Side]) -> dict[str, MetricInfo]:
    """The metrics that the baseline shares with every candidate; direction and margin only where each pair has them."""
    found = {}
    for name, info in shared[0].items():
        infos = [of[name] for of in shared if name in of]
        if len(infos) == len(shared):
            better = info.higher_is_better if all(one.higher_is_better is not None for one in infos) else None
            margin = info.margin if all(one.margin is not None for one in infos) else None
            found[name] = replace(info, higher_is_better=better, margin=margin)
    if not found:
        has = "; ".join(f"{side.name} has {some(side.metrics)}" for side in sides)
        raise ComparisonError(f"the sides share no metric to judge by: {has}")
    return found


def _on_one_scale_all(pairs: Sequence[Scaled], others: Sequence[Side]) -> dict[str, MetricInfo]:
    """The metrics of all pairs, each on one scale.

    Raises:
        ComparisonError: Beside one candidate the baseline is on another scale than beside another.
    """
    first = pairs[0]
    for pair, after in zip(pairs, others, strict=True):
        if pair.before.scores != first.before.scores or pair.metrics != first.metrics:
            raise ComparisonError(
                f"{others[0].name} and {after.name} are on different scales beside {first.before.name}: say them with "
                "--scale, or compare one by one"
            )
    return dict(first.metrics)


def _shared(before: Side, after: Side) -> dict[str, MetricInfo]:
    """The metrics that both sides have, with LoraLift's own description where it made one of the two.

    Another tool's ROUGE may be another implementation, so our margin holds only where both sides are ours.
    """
    shared = {}
    for name, info in before.metrics.items():
        if name in after.metrics:
            known = info if before.ours or not after.ours else after.metrics[name]
            alike = (before.ours and after.ours) or name in before.own & after.own
            shared[name] = known if alike else replace(known, margin=None)
            if alike:
                making.refuse_other_meaning(info, after.metrics[name])
            elif not (before.ours or after.ours) and info.higher_is_better != after.metrics[name].higher_is_better:
                shared[name] = replace(shared[name], higher_is_better=None)  # two tools may mean two things by a name
    judged = any(info.higher_is_better is not None for info in shared.values())
    if not shared or ((before.ours or after.ours) and not judged):
        has = "; ".join(f"{side.name} has {some(side.metrics) or 'no metric'}" for side in (before, after))
        why = "".join(f"; {note.rstrip('.')}" for note in dict.fromkeys((*before.notes, *after.notes)))
        raise ComparisonError(f"the two sides share no metric to judge by: {has}{why}")
    return shared


def _directed(shared: Mapping[str, MetricInfo], before: Side, after: Side, asked: Asked) -> dict[str, MetricInfo]:
    """The metrics with the directions that the user gave; a perplexity that cannot be compared gets none."""
    told = dict.fromkeys(asked.higher_is_better, True) | dict.fromkeys(asked.lower_is_better, False)
    if both := set(asked.higher_is_better) & set(asked.lower_is_better):
        raise UsageError(f"`--higher-is-better` and `--lower-is-better` exclude each other, got both for {some(both)}")
    for name, better in told.items():
        flag = "--higher-is-better" if better else "--lower-is-better"
        if name not in shared:
            raise UsageError(wrong_argument(flag, f"a metric that both sides have ({some(shared, 20)})", name))
        if (before.ours or after.ours) and shared[name].higher_is_better is not better:
            raise UsageError(f"`{flag}` is for metrics of other tools; LoraLift made {name} and knows its direction")
    infos = {
        name: replace(info, higher_is_better=told[name]) if name in told else info for name, info in shared.items()
    }
    doubt = making.perplexity_doubt(before, after)
    if doubt is not None and doubt[1] and making.PERPLEXITY in infos:
        infos[making.PERPLEXITY] = replace(infos[making.PERPLEXITY], higher_is_better=None)
    return infos


def _primary(shared: Mapping[str, MetricInfo], sides: Sequence[Side], asked: Asked) -> str:
    """The metric that decides; it must have a direction."""
    judged = [name for name, info in shared.items() if info.higher_is_better is not None]
    undirected = [name for name in shared if name not in judged]
    if asked.primary is not None and asked.primary not in shared:
        raise UsageError(wrong_argument("--primary", f"one of {', '.join(judged or shared)}", asked.primary))
    wanted = asked.primary if asked.primary in undirected else None if judged else undirected[0]
    if wanted is not None:
        raise UsageError(_no_direction(wanted, sides))
    return asked.primary or primary_of(judged, *(side.primary for side in sides))


def _no_direction(name: str, sides: Sequence[Side]) -> str:
    """Why a metric cannot decide, and what to do."""
    for after in sides[1:]:
        doubt = making.perplexity_doubt(sides[0], after)
        if name == making.PERPLEXITY and doubt is not None:
            return f"`--primary` cannot be {name}: {doubt[0]}"
    if any(side.ours for side in sides):
        return f"`--primary` must be a metric that is judged, got {name!r}, which describes only"
    return (
        f"whether more or less of {name} is better is not known: say --higher-is-better {name} or "
        f"--lower-is-better {name}, or judge by another metric with --primary"
    )


def _settings(
    sides: Sequence[Side], metrics: Mapping[str, MetricInfo], assumed: Collection[str], primary: str, asked: Asked
) -> Settings:
    """How to compare: what was asked for, then the runs' own configuration."""
    runs = (side.run for side in sides)
    config: Mapping[str, Any] = next((run["config"] for run in runs if run is not None), {})
    judged = [name for name, info in metrics.items() if info.higher_is_better is not None]
    for name in asked.margins:
        if name not in judged:
            raise UsageError(wrong_argument("--margin", f"of a metric that is judged ({some(judged, 20)})", name))
    inherited = {name: margin for name, margin in config.get("margins", {}).items() if name in judged}
    margins = {**inherited, **asked.margins}
    for name, margin in margins.items():
        if name in assumed and margin > LARGE_MARGIN:
            raise UsageError(
                f"`--margin` of {name} is {margin:g}, much of a scale of 0 to 1, in which all its values lie: say the "
                f"scale with --scale {name}=0-1 or --scale {name}=0-100"
            )
    return Settings(
        primary=primary,
        margins=margins,
        seed=config.get("seed", 0) if asked.seed is None else asked.seed,
        resamples=config.get("resamples", RESAMPLES),
    )


def _notes(name: str, scaled: Scaled, before: Side, after: Side) -> Iterator[str]:
    """What a reader must know of one metric."""
    yield from scaled.notes.get(name, ())
    doubt = making.perplexity_doubt(before, after) if name == making.PERPLEXITY else None
    if doubt is not None:
        yield doubt[0]
    yield from making.made_differently(before.metrics[name], after.metrics[name])


def _about_all(sides: Sequence[Side], after: Side, shared: Mapping[str, MetricInfo]) -> Iterator[str]:
    """What a reader must know of the whole comparison of one candidate."""
    before = sides[0]
    yield from making.asked_differently(before, after)
    yield from averaged(*sides)
    yield from (*before.notes, *after.notes)
    for side in (before, after):
        alone = [
            name for name, info in side.metrics.items() if name not in shared and info.higher_is_better is not None
        ]
        if alone:
            who = f"Only {side.name} has" if len(sides) == 2 else f"Not every side has what {side.name} has:"
            yield f"{who} {some(alone)}, so that is not compared."
    if not (before.ours or after.ours):
        undirected = [name for name, info in shared.items() if info.higher_is_better is None]
        if undirected:
            yield (
                f"Whether more or less is better is not known of {some(undirected)}, so that is shown and not judged; "
                "--higher-is-better NAME or --lower-is-better NAME says it."
            )
