"""Rules for findings about other explanations of a difference than quality; each gives sentences, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from loralift.records import Contribution, Finding, LengthAdjustment, MetricInfo, SliceComparison
from loralift.reporting.doubts import FLAWS, MUCH_EXPLAINED, MUCH_UNSOUND, explained_by_length, turned_by_parts
from loralift.reporting.traced_figures import DECIDED, Case, Facts

LENGTH_CHANGE = 0.05
FEW_CHANGED = 0.05
SMALL_KL = 1e-3
MOST_PARTS = 3

SHARES = (
    (0.1, "about a tenth"), (0.25, "about a quarter"), (1 / 3, "about a third"), (0.5, "about half"),
    (2 / 3, "about two thirds"), (0.75, "about three quarters"), (0.8, "about four fifths"), (0.9, "most"),
    (1.0, "all"),
)  # fmt: skip


def allowed(case: Case) -> Iterator[Finding]:
    """What differs between the sides besides the model, and was allowed to."""
    for position, one in enumerate(case.confounds.allowed.get(case.candidate, ())):
        facts, at = Facts(), f"confounds.allowed[{case.candidate!r}][{position}]"
        name = facts.text(f"{at}.field", one.field)
        before, after = facts.text(f"{at}.baseline", one.baseline), facts.text(f"{at}.candidate", one.candidate)
        words = f"{case.candidate} was compared although {name} differs: {before} of {case.comparison.baseline}, and "
        yield facts.finding(f"{words}{after}; the difference may come from that.", doubtful=True)


def leakage(case: Case) -> Iterator[Finding]:
    """Rows of the evaluation that stand in the training data, which is one file for all candidates."""
    facts, (path, row, info) = Facts(), case.primary
    leaks = case.confounds.leaks.get(case.candidate, ())
    if not leaks:
        return
    listed = f"confounds.leaks[{case.candidate!r}]"
    ids = {leak.id for leak in leaks}
    rows = facts.count(f"len({{leak.id for leak in {listed}}})", len(ids))
    stand = "question or its reference stands" if len(ids) == 1 else "questions or their references stand"
    words = f"{rows} {stand} in the training data given, in whole or nearly"
    without = case.confounds.without_leaks.get(case.candidate)
    if without is None or without.difference is None or row.difference is None:
        words += f", and no comparison of {case.candidate} without {'it' if len(ids) == 1 else 'them'} could be made."
        yield facts.finding(words, doubtful=True)
        return
    at = f"confounds.without_leaks[{case.candidate!r}]"
    words += f"; without {'it' if len(ids) == 1 else 'them'} {case.candidate}'s {info.title} differs by "
    words += f"{facts.difference(f'{at}.difference', without.difference, info)}"
    words += facts.interval(f"{at}.interval", without.interval, info)
    words += f" instead of {facts.difference(f'{path}.difference', row.difference, info)}"
    same = without.verdict == row.verdict
    verdict = facts.text(f"{at}.verdict", without.verdict or "inconclusive")
    end = "the verdict stays the same" if same else f"the verdict is no longer {row.verdict}, but {verdict}"
    yield facts.finding(f"{words}, and {end}.", doubtful=not same)


def acting(case: Case) -> Iterator[Finding]:
    """A candidate that hardly differs from its base, and what is to know of how it was made."""
    share = case.confounds.answers_changed.get(case.candidate)
    if share is not None and share <= FEW_CHANGED:
        facts = Facts()
        changed = facts.percent(f"confounds.answers_changed[{case.candidate!r}]", share)
        words = (
            f"Only {changed} of {case.candidate}'s answers differ"
            if share
            else f"No answer of {case.candidate} differs"
        )
        yield facts.finding(f"{words} from {case.comparison.baseline}'s at all.", doubtful=True)
    for position, proof in enumerate(case.proofs):
        if proof.adapter != case.candidate:
            continue
        if proof.kl_mean < SMALL_KL and share is not None and share <= FEW_CHANGED:
            facts, at = Facts(), f"proofs[{position}]"
            prompts = facts.count(f"{at}.prompts", proof.prompts)
            nats = facts.small(f"{at}.kl_mean", proof.kl_mean)
            top = facts.percent(f"{at}.top_token_changed", proof.top_token_changed)
            words = f"{case.candidate} hardly acts: at the answer's first token, on {prompts} prompts, the "
            words += (
                f"distribution moves by {nats} nats on average, and the likeliest token changes after {top} of them."
            )
            yield facts.finding(words, doubtful=True)
        for number, note in enumerate(proof.notes):
            yield Finding(f"{case.candidate}: {note}", {f"proofs[{position}].notes[{number}]": note}, "warning")


def noise(case: Case) -> Iterator[Finding]:
    """A verdict on a difference within the noise floor, by the rule of ``loralift.comparison.inside``."""
    path, row, info = case.primary
    for position, noise in enumerate(case.confounds.noise):
        if noise.metric != row.metric or row.difference is None or not case.decided:
            continue
        if not (noise.floor > 0 and abs(row.difference) <= noise.floor):
            continue
        facts, at = Facts(), f"confounds.noise[{position}]"
        words = f"{facts.count(f'{at}.n', noise.n)} questions asked again moved the base's {info.title} by "
        words += f"{facts.difference(f'{at}.difference', noise.difference, info)}; up to "
        words += f"{facts.value(f'{at}.floor', noise.floor, info)} cannot be excluded, and {case.candidate}'s "
        words += f"difference, {facts.difference(f'{path}.difference', row.difference, info)}, is no larger"
        if noise.n < row.n:
            words += (
                f"; of the {facts.count(f'{path}.n', row.n)} rows compared these are few, which makes that bound wide"
            )
        yield facts.finding(f"{words}.", doubtful=True)


def length(case: Case) -> Iterator[Finding]:
    """Longer or shorter answers, and how much of the difference goes with them."""
    facts, (_, row, info) = Facts(), case.primary
    for position, at_length in enumerate(case.confounds.lengths):
        if at_length.candidate != case.candidate or at_length.metric != row.metric:
            continue
        path = f"confounds.lengths[{position}]"
        change = at_length.words_candidate / at_length.words_baseline - 1 if at_length.words_baseline else 0.0
        explained = (at_length.explained or 0.0) >= MUCH_EXPLAINED or explained_by_length(case)
        if abs(change) < LENGTH_CHANGE and not explained:
            continue
        by = facts.percent(f"{path}.words_candidate / {path}.words_baseline - 1", change)
        after = facts.figures[f"{path}.words_candidate"] = at_length.words_candidate
        before = facts.figures[f"{path}.words_baseline"] = at_length.words_baseline
        words = f"{case.candidate}'s answers are {by} {'longer' if change > 0 else 'shorter'} "
        words += f"({after:.1f} words on average, not {before:.1f})"
        yield _explained(case, facts, words, path, at_length, info)


def _explained(
    case: Case, facts: Facts, words: str, path: str, at_length: LengthAdjustment, info: MetricInfo
) -> Finding:
    """The end of the sentence about length: how much of the difference goes with it."""
    if at_length.adjusted is None:
        end = f", and whether that makes the difference in {info.title} cannot be told" if case.decided else ""
        return facts.finding(f"{words}{end}.", doubtful=case.decided)
    share, turned = at_length.explained, at_length.adjusted * at_length.difference < 0
    if not case.decided or (share is None and not turned):
        return facts.info(f"{words}.")
    adjusted = facts.difference(f"{path}.adjusted", at_length.adjusted, info)
    adjusted += facts.interval(f"{path}.interval", at_length.interval, info)
    if share is None:
        return facts.finding(
            f"{words}; at equal length the difference in {info.title} turns: {adjusted}.", doubtful=True
        )
    facts.figures[f"{path}.explained"] = share
    if share < 0:
        return facts.info(f"{words}; at equal length the difference in {info.title} would be larger: {adjusted}.")
    part = min(SHARES, key=lambda known: abs(known[0] - share))[1] if share >= LENGTH_CHANGE else "next to nothing"
    end = f"; {part} of the difference in {info.title} goes with length, and at equal length it would be {adjusted}"
    return facts.finding(f"{words}{end}.", doubtful=bool(explained_by_length(case)))


def flaws(case: Case) -> Iterator[Finding]:
    """Answers that went wrong in a way that can be counted."""
    for metric, (said, least) in FLAWS.items():
        facts, sides = Facts(), []
        for variant, side in ((case.candidate, "candidate"), (case.comparison.baseline, "baseline")):
            path, share = _share(case, metric, variant, side)
            if share is not None:
                sides.append((variant, path, share))
        if len(sides) == 2 and max(share for _, _, share in sides) >= least:
            sides.sort(key=lambda side: -side[2])  # stable: the candidate first where both have as many
            (one, *_), (other, *_) = sides
            first, second = (facts.percent(path, share) for _, path, share in sides)
            words = f"{first} of {one}'s answers {said}, against {second} of {other}'s."
            yield facts.finding(words, doubtful=True)


KINDS = {
    "both sound": "both answers are sound",
    "only baseline unsound": "only {base}'s answer is unsound",
    "only candidate unsound": "only {candidate}'s answer is unsound",
    "neither sound": "neither answer is sound",
}
"""Kind of pair to what is said of its rows."""


def composition(case: Case) -> Iterator[Finding]:
    """What the difference is made of, where answers failed; in doubt where it is not of the answers that did not."""
    facts, (path, row, info) = Facts(), case.primary
    parts = [
        (f"confounds.contributions[{position}]", part)
        for position, part in enumerate(case.confounds.contributions)
        if part.candidate == case.candidate and part.rows
    ]
    unsound = sum(part.share for _, part in parts if part.kind != "both sound")
    if row.difference is None or unsound < MUCH_UNSOUND:
        return
    words = f"{case.candidate}'s difference in {info.title}, "
    words += f"{facts.difference(f'{path}.difference', row.difference, info)}, is made of "
    words += ", ".join(_kind(case, facts, *part, info) for part in sorted(parts, key=lambda each: -each[1].rows))
    turned = turned_by_parts(case)
    words += turned and f"; {turned}"
    words += ". Unsound: empty, a loop, run on, or a copy of the question. This is arithmetic, not cause."
    yield facts.finding(words, doubtful=bool(turned))


def _kind(case: Case, facts: Facts, path: str, part: Contribution, info: MetricInfo) -> str:
    said = KINDS[part.kind].format(base=case.comparison.baseline, candidate=case.candidate)
    amount = facts.difference(f"{path}.contribution", part.contribution, info)
    amount += facts.interval(f"{path}.interval", part.interval, info)
    return f"{amount} of {facts.count(f'{path}.rows', part.rows)} rows where {said}"


def _share(case: Case, metric: str, variant: str, side: str) -> tuple[str, float | None]:
    """A flag's share on a side: of the pairs, else of all rows."""
    if metric in case.rows:
        path, row = case.rows[metric]
        return f"{path}.{side}_value", row.candidate_value if side == "candidate" else row.baseline_value
    summary = case.summaries.get(variant, {}).get(metric)
    return f"summaries[{variant!r}][{metric!r}].value", None if summary is None else summary.value


def slices(case: Case) -> Iterator[Finding]:
    """Parts with the opposite verdict; else two parts whose intervals do not overlap, marked as exploratory."""
    _, primary, info = case.primary
    parts = [
        (f"confounds.slices[{position}]", part)
        for position, part in enumerate(case.confounds.slices)
        if part.row.candidate == case.candidate and part.row.difference is not None and part.row.interval is not None
    ]
    against = [(path, p) for path, p in parts if p.row.verdict in DECIDED and p.row.verdict != primary.verdict]
    for path, part in against[:MOST_PARTS]:
        facts = Facts()
        words = f"{case.candidate} is {facts.text(f'{path}.row.verdict', part.row.verdict or '')} where "
        words += f"{_part(facts, path, part, info)}, although {primary.verdict} on all rows."
        yield facts.finding(words, doubtful=part.row.verdict == "worse" or case.decided)
    if not against and (ends := _apart(parts)) is not None:
        facts = Facts()
        low, high = (_part(facts, path, part, info) for path, part in ends)
        words = f"{case.candidate}'s difference in {info.title} looks different on parts of the rows (exploratory, "
        yield facts.info(f"{words}{_contrasts(facts, case.candidate, parts)}): where {low}; where {high}.")


def _contrasts(facts: Facts, candidate: str, parts: Sequence[tuple[str, SliceComparison]]) -> str:
    """From how many pairs of parts these two were chosen."""
    columns = Counter(part.column for _, part in parts)
    of_candidate = f"[s.column for s in confounds.slices if s.row.candidate == {candidate!r} and s.row.interval]"
    pairs = sum(count * (count - 1) // 2 for count in columns.values())
    number = facts.count(f"(lambda c: sum(c.count(x) - 1 for x in c) // 2)({of_candidate})", pairs)
    return "the only contrast" if pairs == 1 else f"the largest of {number} contrasts"


def _apart(
    parts: Sequence[tuple[str, SliceComparison]],
) -> tuple[tuple[str, SliceComparison], tuple[str, SliceComparison]] | None:
    """The two parts of one column that are farthest apart, if their intervals do not meet."""
    widest, found = 0.0, None
    for low in parts:
        for high in parts:
            one, other = low[1].row.interval, high[1].row.interval
            if low[1].column == high[1].column and one and other and other.low - one.high > widest:
                widest, found = other.low - one.high, (low, high)
    return found


def _part(facts: Facts, path: str, part: SliceComparison, info: MetricInfo) -> str:
    column, name = facts.text(f"{path}.column", part.column), facts.text(f"{path}.part", part.part)
    words = f"{column} is {name}, {facts.difference(f'{path}.row.difference', part.row.difference or 0.0, info)}"
    words += facts.interval(f"{path}.row.interval", part.row.interval, info)
    return f"{words} on {facts.count(f'{path}.row.n', part.row.n)} rows"
