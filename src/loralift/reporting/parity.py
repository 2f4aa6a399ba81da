"""The parity report as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from loralift.records import MetricComparison, ModeParity, Parity
from loralift.reporting import formatting
from loralift.reporting.tables import Table


def parity_tables(parity: Parity) -> Iterator[Table]:
    """For each variant how its modes compare with the reference mode, and the metrics where answers differ."""
    for variant in parity.variants:
        modes = [mode for mode in parity.modes if mode.variant == variant]
        yield _modes_table(parity, variant, modes)
        if differing := [mode for mode in modes if mode.identical < mode.n or mode.moved]:
            yield _metrics_table(parity, variant, differing)


def parity_sentences(parity: Parity) -> Iterator[tuple[str, str]]:
    """What moves and what is not decided, one sentence a metric; with the verdict that it is about."""
    for mode in parity.modes:
        for row in mode.metrics:
            moves = row.metric in mode.moved
            beyond = abs(row.difference or 0.0) > parity.noise[mode.variant].get(row.metric, 0.0)
            if moves or (mode.verdict == "undecided" and row.verdict != "equivalent" and beyond):
                word = "MOVES" if moves else "undecided:"
                yield mode.verdict, f"{mode.variant}, {mode.mode}: {word} {_moved(parity, mode, row)}"


def parity_notes(parity: Parity) -> Iterator[str]:
    """How to read the figures, what was asked, what vLLM's merging loses by rounding, and other notes."""
    yield "Δ in nats, absolute: of the references' log-likelihood a token (mean, largest), of the next token (largest)"
    if any(mode.identical < mode.n for mode in parity.modes):
        yield f"noise floor: what the reference may move by with other batches ({parity.noise_mode!r}); ! moves by more"
    numerics, n = parity.numerics, parity.modes[0].n
    yield f"{n} questions ({parity.questions}), greedy answers of up to {parity.max_new_tokens} tokens"
    yield f"transformers in {numerics['dtype']} on {numerics['device']}"
    for adapter, lost in parity.merging_lost.items():
        yield f"vLLM: merging rounds {formatting.percent(lost)} of {adapter}'s update away (norm over norm)"
    yield from parity.notes


def parity_headline(parity: Parity) -> str:
    """The whole in one sentence."""
    counts = {
        verdict: sum(mode.verdict == verdict for mode in parity.modes)
        for verdict in ("identical", "equivalent", "within noise", "undecided", "MOVES")
    }
    answers, same = sum(mode.n for mode in parity.modes), sum(mode.identical for mode in parity.modes)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return (
        f"parity: {told} (each mode of {len(parity.variants)} variants); {same:,} of {answers:,} answers are those of "
        f"{parity.reference!r}, token for token"
    )


def _modes_table(parity: Parity, variant: str, modes: list[ModeParity]) -> Table:
    rows = tuple(
        (
            mode.mode,
            f"{mode.identical} of {mode.n} ({formatting.percent(mode.identical / mode.n)})",
            _divergence(mode),
            f"{_nats(mode.log_likelihood_mean)}, {_nats(mode.log_likelihood_max)}",
            _nats(mode.next_token_max),
            mode.verdict,
        )
        for mode in modes
    )
    heads = ("mode", "identical", "first divergence", "Δ log-likelihood", "Δ next token", "verdict")
    return Table(
        f"{variant}, against {parity.reference!r}", heads, rows, expendable=("Δ next token", "Δ log-likelihood")
    )


def _metrics_table(parity: Parity, variant: str, modes: list[ModeParity]) -> Table:
    """Each metric's difference in each mode that answers differently, with the noise floor."""
    rows = []
    for name, info in parity.metrics.items():
        floor = parity.noise[variant].get(name)
        cells = [
            formatting.difference(row.difference, info) + (" !" if name in mode.moved else "")
            for mode in modes
            for row in mode.metrics
            if row.metric == name
        ]
        rows.append((info.title, formatting.value(floor, info), *cells))
    heads = ("metric", "noise floor", *(mode.mode for mode in modes))
    return Table(f"{variant}, metrics: minus {parity.reference!r}", heads, tuple(rows))


def _divergence(mode: ModeParity) -> str:
    if mode.earliest_divergence is None or mode.median_divergence is None:
        return formatting.NOT_THERE
    return f"token {mode.earliest_divergence} (median {mode.median_divergence:g})"


def _nats(number: float | None) -> str:
    return formatting.NOT_THERE if number is None else "0" if number == 0 else f"{number:.1e}"


def _moved(parity: Parity, mode: ModeParity, row: MetricComparison) -> str:
    info = parity.metrics[row.metric]
    moved = f"{info.title} by {formatting.difference(row.difference, info)}"
    if row.interval is not None:
        moved += f", 95 % CI {formatting.interval(row.interval, info)}"
    floor = parity.noise[mode.variant].get(row.metric)
    return moved if mode.mode == parity.noise_mode else f"{moved}, noise floor {formatting.value(floor, info)}"
