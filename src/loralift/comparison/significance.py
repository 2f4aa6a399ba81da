"""Is there a difference at all? Two-sided permutation tests on pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.contrast import Contrast
from loralift.comparison.pairing import Floats
from loralift.comparison.resampling import EXACT_UP_TO, relabel_exactly


@dataclass(frozen=True, slots=True)
class Significance:
    """A two-sided test of "no difference".

    Attributes:
        p_value: In (0, 1].
        test: Which test.
        at_floor: Whether no relabelling reached the observed difference, so that more of them could give a smaller p.
    """

    p_value: float
    test: str
    at_floor: bool = False


def needs_relabelling(contrast: Contrast) -> bool:
    """Whether the test of a contrast needs random relabellings."""
    return contrast.n >= 2 and not contrast.binary and int(contrast.differing.sum()) > EXACT_UP_TO


def significance(contrast: Contrast, relabelled: Floats | None) -> Significance | None:
    """Test that swapping any pair's two values would change nothing (Fisher, 1935; Noreen, 1989).

    For means this is the sign-flip test of the differences. As it is the same test when studentised, it also stays
    close to its level for skewed differences whose mean is 0 (Hemerik, Goeman and Finos, 2020).

    Args:
        contrast: The difference on n pairs.
        relabelled: Differences after random swaps, where ``needs_relabelling`` said so.

    Returns:
        The test; None for fewer than two pairs.
    """
    if contrast.n < 2:
        return None
    kind = "approximate randomisation" if contrast.corpus else "sign-flip permutation"
    if contrast.binary:
        return Significance(mcnemar(*contrast.discordant), "McNemar (exact)")
    if not needs_relabelling(contrast):
        return Significance(float(_as_extreme(contrast, relabel_exactly(contrast)).mean()), f"{kind} (exact)")
    assert relabelled is not None
    extreme = int(_as_extreme(contrast, relabelled).sum())
    p_value = (extreme + 1) / (relabelled.size + 1)
    return Significance(p_value, f"{kind} ({relabelled.size} samples)", at_floor=extreme == 0)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided McNemar test: wins among the discordant pairs are binomial with probability one half.

    Args:
        wins: Pairs where only the candidate is right.
        losses: Pairs where only the baseline is right.

    Returns:
        p in (0, 1]; 1 without a discordant pair.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def _as_extreme(contrast: Contrast, relabelled: Floats) -> NDArray[np.bool_]:
    """Which relabelled differences are at least as large as the observed one; what is not finite counts as larger.

    The tolerance keeps equal sums, added in another order, equal.
    """
    size = float(np.abs(contrast.estimate.pseudo_values).mean()) + abs(contrast.difference)
    return np.asarray(~(np.abs(relabelled) < abs(contrast.difference) - 1e-11 * size))
