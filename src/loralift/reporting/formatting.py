"""Numbers as people read them.

Negative numbers have a real minus sign, so that columns align, but none before what rounds to zero.
"""

from __future__ import annotations

from loralift.records import Interval, MetricInfo

NOT_THERE = "–"


def value(number: float | None, info: MetricInfo) -> str:
    """A metric's value with its own decimals."""
    return NOT_THERE if number is None else _written(number, info.decimals)


def difference(number: float | None, info: MetricInfo) -> str:
    """A difference with its sign."""
    return NOT_THERE if number is None else _written(number, info.decimals, plus="+")


def interval(bounds: Interval | None, info: MetricInfo) -> str:
    """The interval of a difference as [low, high]."""
    if bounds is None:
        return ""
    return f"[{difference(bounds.low, info)}, {difference(bounds.high, info)}]"


def level(bounds: Interval | None, usual: float = 0.95) -> str:
    """What an interval is called: ``95 % CI``.

    Args:
        bounds: The interval; None: there is none.
        usual: Its level then.
    """
    return f"{100 * (usual if bounds is None else bounds.level):.4g} % CI"


def p_value(p: float | None) -> str:
    """A p value: never rounded to 0, never more digits than it carries."""
    if p is None:
        return NOT_THERE
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def effect(number: float | None) -> str:
    """An effect size with its sign."""
    return NOT_THERE if number is None else _written(number, 2, plus="+")


def percent(share: float, *, minus: str = "") -> str:
    """A share in percent; a share above 0 is never shown as 0 %, one below 1 never as 100 %.

    Args:
        share: 1 is all.
        minus: What stands before a negative one; without it the sign is left out.

    Returns:
        For example ``38 %``, ``0.4 %``, ``>99 %``.
    """
    number = 100 * abs(share)
    text = f"{number:.0f} %" if number >= 10 or number == 0 else f"{number:.2g} %"
    if number < 100 and text == "100 %":
        text = ">99 %"
    return minus + text if share < 0 else text


def _written(number: float, decimals: int, plus: str = "") -> str:
    text = f"{abs(number):.{decimals}f}"
    if float(text) == 0:
        return text
    return ("−" if number < 0 else plus) + text
