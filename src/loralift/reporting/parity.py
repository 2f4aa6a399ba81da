"""The parity report as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from loralift.records import MetricComparison, Parity, WayParity
from loralift.reporting import numbers
from loralift.reporting.tables import Table


def parity_tables(parity: Parity) -> Iterator[Table]:
    """For each variant how its ways compare with the reference way, and the metrics where answers differ."""
    for variant in parity.variants:
        ways = [way for way in parity.ways if way.variant == variant]
        yield _ways_table(parity, variant, ways)
        if differing := [way for way in ways if way.identical < way.n or way.moved]:
            yield _metrics_table(parity, variant, differing)


def parity_sentences(parity: Parity) -> Iterator[tuple[str, str]]:
    """What moves and what is not decided, one sentence a metric; with the verdict that it is about."""
    for way in parity.ways:
        for row in way.metrics:
            moves = row.metric in way.moved
            beyond = abs(row.difference or 0.0) > parity.noise[way.variant].get(row.metric, 0.0)
            if moves or (way.verdict == "undecided" and row.verdict != "equivalent" and beyond):
                word = "MOVES" if moves else "undecided:"
                yield way.verdict, f"{way.variant}, {way.way}: {word} {_moved(parity, way, row)}"


def parity_notes(parity: Parity) -> Iterator[str]:
    """How to read the figures, what was asked of what, what vLLM's merging takes, what else a reader must know."""
    yield "Δ in nats, absolute: of the references' log-likelihood a token (mean, largest), of the next token (largest)"
    if any(way.identical < way.n for way in parity.ways):
        yield f"noise floor: what the reference may move by with other batches ({parity.noise_way!r}); ! moves by more"
    numerics, n = parity.numerics, parity.ways[0].n
    yield f"{n} questions ({parity.questions}), greedy answers of up to {parity.max_new_tokens} tokens"
    yield f"transformers in {numerics['dtype']} on {numerics['device']}"
    for adapter, lost in parity.merging_lost.items():
        yield f"vLLM: merging rounds {numbers.percent(lost)} of {adapter}'s update away (norm over norm)"
    yield from parity.notes


def parity_headline(parity: Parity) -> str:
    """The whole in one sentence."""
    counts = {
        verdict: sum(way.verdict == verdict for way in parity.ways)
        for verdict in ("identical", "equivalent", "within noise", "undecided", "MOVES")
    }
    answers, same = sum(way.n for way in parity.ways), sum(way.identical for way in parity.ways)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return (
        f"parity: {told} (each way of {len(parity.variants)} variants); {same:,} of {answers:,} answers are those of "
        f"{parity.reference!r}, token for token"
    )


def _ways_table(parity: Parity, variant: str, ways: list[WayParity]) -> Table:
    rows = tuple(
        (
            way.way,
            f"{way.identical} of {way.n} ({numbers.percent(way.identical / way.n)})",
            _divergence(way),
            f"{_nats(way.log_likelihood_mean)}, {_nats(way.log_likelihood_max)}",
            _nats(way.next_token_max),
            way.verdict,
        )
        for way in ways
    )
    heads = ("way", "identical", "first divergence", "Δ log-likelihood", "Δ next token", "verdict")
    return Table(
        f"{variant}, against {parity.reference!r}", heads, rows, expendable=("Δ next token", "Δ log-likelihood")
    )


def _metrics_table(parity: Parity, variant: str, ways: list[WayParity]) -> Table:
    """Each metric's difference in each way that answers otherwise, beside the noise floor."""
    rows = []
    for name, info in parity.metrics.items():
        floor = parity.noise[variant].get(name)
        cells = [
            numbers.difference(row.difference, info) + (" !" if name in way.moved else "")
            for way in ways
            for row in way.metrics
            if row.metric == name
        ]
        rows.append((info.title, numbers.value(floor, info), *cells))
    heads = ("metric", "noise floor", *(way.way for way in ways))
    return Table(f"{variant}, metrics: minus {parity.reference!r}", heads, tuple(rows))


def _divergence(way: WayParity) -> str:
    if way.earliest_divergence is None or way.median_divergence is None:
        return numbers.NOT_THERE
    return f"token {way.earliest_divergence} (median {way.median_divergence:g})"


def _nats(number: float | None) -> str:
    return numbers.NOT_THERE if number is None else "0" if number == 0 else f"{number:.1e}"


def _moved(parity: Parity, way: WayParity, row: MetricComparison) -> str:
    info = parity.metrics[row.metric]
    moved = f"{info.title} by {numbers.difference(row.difference, info)}"
    if row.interval is not None:
        moved += f", 95 % CI {numbers.interval(row.interval, info)}"
    floor = parity.noise[way.variant].get(row.metric)
    return moved if way.way == parity.noise_way else f"{moved}, noise floor {numbers.value(floor, info)}"
