"""What judges found, as tables that the terminal, Markdown and the page share."""

from __future__ import annotations

from collections.abc import Iterator

from loralift.records import Judge, Judged, JudgeProof, Judging, MetricInfo, Report
from loralift.reporting import formatting
from loralift.reporting.tables import IS, NOT_SCORED, Table

REFUSED, UNFINISHED, BELIEVED = "REFUSED", "not finished", "believed"

CHECKS = {
    "readable": "reply names a verdict",
    "order": "same in both orders",
    "reference": "prefers the reference",
    "cut": "also cut to length",
    "itself": "itself is a tie",
}
"""What a judge must do, in the order of the columns."""


def judging_tables(report: Report) -> tuple[Table, ...]:
    """The tables of this module that have anything to say."""
    if report.judging is None or report.comparison is None:
        return ()
    made = (
        proof_table(report.judging),
        preference_table(report.judging, report.comparison.baseline),
        bias_table(report.judging),
        agreement_table(report),
        kappa_table(report.judging),
    )
    return tuple(table for table in made if table.rows)


def judge_sentences(report: Report) -> list[tuple[str, str]]:
    """What each judge says of each adapter, or why it is not believed: verdict or `REFUSED`, and the sentence."""
    if report.judging is None or report.comparison is None:
        return []
    base, info = report.comparison.baseline, report.judging.info
    said = [
        (REFUSED, f"The judge {judge.name} is REFUSED, none of its verdicts is shown: {judge.proof.refused}")
        for judge in report.judging.judges
        if judge.proof is not None and judge.proof.refused
    ]
    for judge, judged in _judged(report.judging):
        row = judged.row
        words = IS[row.verdict] if row.verdict else "is NOT JUDGED against"
        evidence = f"{formatting.difference(row.difference, info)} {formatting.interval(row.interval, info)}".strip()
        said.append(
            (
                row.verdict or REFUSED,
                f"To the judge {judge.name}, {row.candidate} {words} {base}: it wins {_rate(row.difference)}, "
                f"preference {evidence}, n = {row.n}, {judged.flips} of {judged.asked} pairs flip with the order",
            )
        )
    return said


def proof_table(judging: Judging) -> Table:
    """Whether each judge judges; of one that does not these are its only figures."""
    rows = tuple((judge.name, *_checked(judge.proof), _standing(judge)) for judge in judging.judges)
    reasons = [f"{judge.name}: {said}" for judge in judging.judges if (said := _reason(judge))]
    caption = (
        "on a question's reference against another question's: each at least 90 %, with the 95 % interval above 75 %"
    )
    heads = ("judge", *CHECKS.values(), "first chosen", "longer chosen", "judge is")
    return Table("Does the judge judge?", heads, rows, " · ".join((caption, *reasons)), ("longer chosen",))


def preference_table(judging: Judging, baseline: str) -> Table:
    """Which answers each judge prefers, and the verdict of `judge_preference`."""
    rows = []
    for judge, judged in _judged(judging):
        row = judged.row
        rows.append(
            (
                f"{judge.name}: {row.candidate}",
                f"{row.n:,}",
                f"{row.wins}/{row.ties}/{row.losses}",
                _rate(row.difference),
                formatting.difference(row.difference, judging.info),
                formatting.interval(row.interval, judging.info) or formatting.NOT_THERE,
                formatting.p_value(row.p_adjusted),
                row.verdict or NOT_SCORED,
            )
        )
    heads = ("judge and adapter", "n", "win/tie/loss", "win rate", "preference", "95 % CI", "p (Holm)", "verdict")
    caption = (
        f"the adapter's answer against {baseline}'s, each pair in both orders; preference: share of wins less share of "
        f"losses, margin ±{formatting.value(judging.info.margin, judging.info)} · win rate: a tie is half a win · a "
        "family of its own over all judges and adapters, beside the metrics' family"
    )
    return Table(judging.info.title, heads, tuple(rows), caption, ("p (Holm)", "win/tie/loss", "95 % CI"))


def bias_table(judging: Judging) -> Table:
    """What else than quality a judge's preferences may go by, and what it left open."""
    rows = []
    for judge, judged in _judged(judging):
        at_length = judged.at_length
        adjusted = at_length.adjusted if at_length else None
        limits = at_length.interval if at_length else None
        unscored = sum(judged.unscored.values())
        rows.append(
            (
                f"{judge.name}: {judged.row.candidate}",
                f"{judged.asked:,}",
                f"{judged.identical:,}",
                f"{judged.flips:,}",
                f"{judged.wavering:,}",
                "; ".join(f"{count}: {why}" for why, count in judged.unscored.items()) if unscored else "0",
                formatting.NOT_THERE if judged.first is None else formatting.percent(judged.first),
                _rate(adjusted),
                _rates(limits.low, limits.high) if limits else formatting.NOT_THERE,
            )
        )
    heads = (
        *("judge and adapter", "pairs", "same text", "flipped", "half", "unscored"),
        *("first chosen", "win rate at equal length", "its 95 % CI"),
    )
    caption = (
        "flipped: preferred the answer in the same place in both orders; half: a tie in one order only; both count as "
        "ties · first chosen: 50 % without a bias for position · unscored: left out of the verdict"
    )
    return Table("What the judge goes by", heads, tuple(rows), caption, ("its 95 % CI", "same text", "half"))


def agreement_table(report: Report) -> Table:
    """How often each judge and each metric prefer the same answer."""
    assert report.judging is not None
    rows = []
    metrics: dict[str, MetricInfo] = {}
    for _, judged in _judged(report.judging):
        metrics |= {one.metric: report.metrics[one.metric] for one in judged.agreement if one.metric in report.metrics}
    for judge, judged in _judged(report.judging):
        known = {one.metric: one for one in judged.agreement}
        cells = []
        for name in metrics:
            one = known.get(name)
            share = formatting.percent(one.agreed / one.n) if one and one.n else formatting.NOT_THERE
            cells.append(f"{share} of {one.n}" if one and one.n else share)
        rows.append((f"{judge.name}: {judged.row.candidate}", *cells))
    heads = ("judge and adapter", *(info.title for info in metrics.values()))
    caption = "of the pairs of answers of which both prefer one, how many times it is the same; 50 % is chance"
    return Table("Does the judge agree with the metrics?", heads, tuple(rows) if metrics else (), caption)


def kappa_table(judging: Judging) -> Table:
    """How far two judges agree."""
    rows = tuple(
        (
            f"{' and '.join(one.judges)}: {one.candidate}",
            f"{one.n:,}",
            formatting.percent(one.agreed / one.n) if one.n else formatting.NOT_THERE,
            formatting.effect(one.kappa),
        )
        for one in judging.agreement
    )
    heads = ("judges and adapter", "n", "same verdict", "Cohen's kappa")
    caption = "on better, tie and worse; kappa: agreement beyond chance, 1 at most, 0 for none"
    return Table("Do the judges agree?", heads, rows, caption)


def _judged(judging: Judging) -> Iterator[tuple[Judge, Judged]]:
    return ((judge, judged) for judge in judging.judges for judged in judge.judged)


def _checked(proof: JudgeProof | None) -> tuple[str, ...]:
    """A cell a check, then the shares of choices by position and by length."""
    if proof is None:
        return (formatting.NOT_THERE,) * (len(CHECKS) + 2)
    known = {check.name: check for check in proof.checks}
    cells = [f"{known[name].passed} of {known[name].of}" if name in known else formatting.NOT_THERE for name in CHECKS]
    shares = (proof.first, proof.longer)
    return (*cells, *(formatting.NOT_THERE if share is None else formatting.percent(share) for share in shares))


def _standing(judge: Judge) -> str:
    if judge.proof is None:
        return UNFINISHED
    return REFUSED if judge.proof.refused else BELIEVED


def _reason(judge: Judge) -> str:
    if judge.proof is None:
        return f"{judge.unfinished}; ask it again with loralift judge"
    return judge.proof.refused


def _rate(preference: float | None) -> str:
    """A preference of -1 to 1 as a win rate; a tie is half a win."""
    if preference is None:
        return formatting.NOT_THERE
    return formatting.percent(min(max((1 + preference) / 2, 0.0), 1.0))


def _rates(low: float, high: float) -> str:
    return f"[{_rate(low)}, {_rate(high)}]"
