"""McNemar's test: do two models differ on the same rows by more than chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class McNemarResult:
    """Rows on which exactly one of two models is correct.

    Attributes:
        gained: rows that only the second model predicts correctly.
        lost: rows that only the first model predicts correctly.
        p_value: of the exact two-sided McNemar test, a binomial test of ``gained`` in
            ``gained + lost`` at ½ (McNemar, Psychometrika 12, 1947).
    """

    gained: int
    lost: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < 0.05


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemarResult:
    """Compare two models: ``first`` and ``second`` mark the rows each predicts correctly, (n,)."""
    from scipy.stats import binomtest

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return McNemarResult(gained, lost, p_value)
