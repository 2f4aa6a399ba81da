"""Numbers as people read them."""

from __future__ import annotations

from loralift.records import Interval, MetricInfo

NOT_THERE = "–"


def value(number: float | None, info: MetricInfo) -> str:
    """A metric's value with its own decimals."""
    return NOT_THERE if number is None else f"{number:.{info.decimals}f}"


def difference(number: float | None, info: MetricInfo) -> str:
    """A difference with its sign; a real minus sign, so that columns align."""
    if number is None:
        return NOT_THERE
    text = f"{number:+.{info.decimals}f}"
    # What rounds to zero has no sign that could be told.
    return text.replace("-", "−") if float(text) else text[1:]


def interval(bounds: Interval | None, info: MetricInfo) -> str:
    """The interval of a difference as [low, high]."""
    if bounds is None:
        return ""
    return f"[{difference(bounds.low, info)}, {difference(bounds.high, info)}]"


def p_value(p: float | None) -> str:
    """A p value: never rounded to 0, never more digits than it carries."""
    if p is None:
        return NOT_THERE
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def effect(number: float | None) -> str:
    """An effect size with its sign."""
    return NOT_THERE if number is None else f"{number:+.2f}".replace("-", "−")


def percent(share: float) -> str:
    """A share in percent, without its sign, with as many digits as it takes not to be 0: ``38 %``, ``0.4 %``."""
    number = 100 * abs(share)
    return f"{number:.0f} %" if number >= 10 or number == 0 else f"{number:.2g} %"
