"""Were both sides made alike? Compares the settings of two runs, and how their metrics were computed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from loralift.errors import ComparisonError
from loralift.metrics import METRICS
from loralift.records import MetricInfo
from loralift.workflow.sides.side import Side

PERPLEXITY = "perplexity"
NUMERICS = ("engine", "dtype")
SHOWN = 40
_WEIGHTS = re.compile(r"weights:\w+\|")
_TOKENIZER = re.compile(r"tokenizer:(\w+)")


def made_differently(before: MetricInfo, after: MetricInfo) -> tuple[str, ...]:
    """One sentence where a metric was calculated otherwise on the two sides, as far as both say how."""
    if not before.signature or not after.signature or _same(before.signature, after.signature):
        return ()
    return (f"The two sides made it differently: {before.signature}, and {after.signature}.",)


def _same(one: str, other: str) -> bool:
    """Whether two signatures say the same; a LoraLift of before did not say what models are made of."""
    unknown = not (_WEIGHTS.search(one) and _WEIGHTS.search(other))
    return one == other or (unknown and _WEIGHTS.sub("", one) == _WEIGHTS.sub("", other))


def refuse_other_meaning(before: MetricInfo, after: MetricInfo) -> None:
    """Refuse a metric of somebody's own that changed its direction or range between the sides.

    Raises:
        ComparisonError: It did; a verdict would take one side's for both.
    """
    said = [_meaning(info) for info in (before, after)]
    if before.name not in METRICS and said[0] != said[1]:
        raise ComparisonError(
            f"{before.name} means something else on each side ({said[0]}; {said[1]}): score both again by one source, "
            "as with --metric, or leave it out with --metrics"
        )


def _meaning(info: MetricInfo) -> str:
    better = {True: "higher is better", False: "lower is better", None: "no direction"}[info.higher_is_better]
    low, high = ("no end" if end is None else f"{end:g}" for end in (info.low, info.high))
    return f"{better}, from {low} to {high}"


def asked_differently(before: Side, after: Side) -> tuple[str, ...]:
    """One sentence on what may differ between two runs without a word of the user; none for other sides."""
    if before.run is None or after.run is None:
        return ()
    found = list(_differences(before.run, after.run))
    if not found:
        return ()
    return (f"The two runs were made with other settings, of which the difference may come: {'; '.join(found)}.",)


def perplexity_doubt(before: Side, after: Side) -> tuple[str, bool] | None:
    """Why perplexities of two runs do not compare, or may not, and whether that is sure; None where they do.

    A perplexity is per token, so with another tokenizer it has another unit. Where a tokenizer is not known, as of a
    served model, the references' numbers of tokens tell.
    """
    infos = [side.metrics.get(PERPLEXITY) for side in (before, after)]
    if infos[0] is None or infos[1] is None:
        return None
    made = [_TOKENIZER.search(info.signature) for info in infos if info is not None]
    if made[0] is not None and made[1] is not None:
        sure = "The two bases have different tokenizers, and a perplexity is per token: it is not judged."
        return (sure, True) if made[0][1] != made[1][1] else None
    counts = [_reference_tokens(side) for side in (before, after)]
    if shared := counts[0].keys() & counts[1].keys():
        if others := sum(counts[0][row] != counts[1][row] for row in shared):
            what = f"The two sides made other numbers of tokens of {others} of {len(shared)} references"
            return f"{what}, and a perplexity is per token: it is not judged.", True
        return None
    bases = [_fingerprint(side.run).get("base") for side in (before, after)]
    if None in bases or bases[0] == bases[1]:
        return None
    return "The two bases differ, and perplexities of different tokenizers do not compare: are theirs the same?", False


def _reference_tokens(side: Side) -> dict[str, float]:
    """Of how many tokens each row's reference is, where that is known."""
    found = ((score.id, score.statistics.get(PERPLEXITY)) for score in side.scores)
    return {row: statistics[1] for row, statistics in found if statistics is not None}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Each setting that differs, with both values."""
    prints, configs = (_fingerprint(before), _fingerprint(after)), (before.get("config", {}), after.get("config", {}))
    if _differ(*(one.get("base") for one in prints)):
        names = [config.get("model") for config in configs]
        same = names[0] == names[1]
        yield _said("base model", *([one["base"] for one in prints] if same else names))
    for part, settings in (("generation", ("repeats",)), ("numerics", NUMERICS)):
        one, other = (each.get(part, {}) for each in prints)
        yield from (_said(name, one[name], other[name]) for name in settings if _differ(one.get(name), other.get(name)))
    generations = [each.get("generation", {}) for each in prints]
    sampled = any(generation.get("temperature") for generation in generations)
    if sampled and _differ(*(generation.get("seed") for generation in generations)):
        yield _said("seed", *(generation["seed"] for generation in generations))


def _fingerprint(run: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (run or {}).get("fingerprint", {})
    return found


def _differ(one: object, other: object) -> bool:
    """Whether both are known, and not the same."""
    return one is not None and other is not None and one != other


def _said(name: str, one: object, other: object) -> str:
    return f"{name} {_short(one)} and {_short(other)}"


def _short(value: object) -> str:
    text = "none" if value in (None, [], ()) else value if isinstance(value, int | float) else repr(value)
    return text if len(text := str(text)) <= SHOWN else f"{text[: SHOWN - 2]}…{text[-1]}"
