"""Two readers of the same rows: where they part, and whether chance would part them so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHANCE = 0.05


@dataclass(frozen=True)
class Turned:
    """Rows that one reader reads rightly and the other does not.

    Attributes:
        gained: wrong by the first and right by the second.
        lost: right by the first and wrong by the second.
        p_value: how often chance alone would part ``gained`` and ``lost`` at least so far: the
            exact two-sided McNemar test, a binomial test of ``gained`` in ``gained + lost`` at ½
            (McNemar, Psychometrika 12, 1947).
    """

    gained: int
    lost: int
    p_value: float

    @property
    def beyond_chance(self) -> bool:
        """Whether chance alone would do so in fewer than one case of twenty."""
        return self.p_value < CHANCE


def turned(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Turned:
    """Compare two readers.

    Args:
        first: (n,) bool, the rows that the first read rightly.
        second: the same of the second.
    """
    from scipy.stats import binomtest

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Turned(gained, lost, p_value)
