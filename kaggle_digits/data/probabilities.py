"""Check arrays of probabilities, whether they come from a model, a file or a caller."""

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES

# Sums of ten bfloat16 or float16 numbers, with which some GPUs predict, are off by up to this.
SUM_TOLERANCE = 0.01

Probabilities = NDArray[np.float32]  # (n, 10)


def check_probabilities(values: NDArray[np.floating], *, nan_rows: bool = False) -> None:
    """Raise ValueError unless every row of ``values`` (n, 10) is finite, ≥ 0 and sums to 1.

    ``nan_rows`` also allows rows of nothing but NaN: out-of-fold, a row that no model held out.
    """
    if values.ndim != 2 or values.shape[1] != CLASSES:
        raise ValueError(f"the shape is {values.shape} instead of (n, {CLASSES})")
    with np.errstate(invalid="ignore", over="ignore"):  # a sum of NaN or infinity is not near 1
        valid = np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE
        valid &= (values >= 0).all(axis=1)
    if nan_rows:
        valid |= np.isnan(values).all(axis=1)
    if len(wrong := np.flatnonzero(~valid)):
        raise ValueError(
            f"{len(wrong):,} of {len(values):,} rows, the first is row {wrong[0]} counted from 0, "
            "are not probabilities: finite, not negative, with the sum 1"
        )
