"""Arrays of probabilities are checked."""

import numpy as np
import pytest

from kaggle_digits.data.probabilities import check_probabilities

UNIFORM = np.full((5, 10), 0.1, np.float32)


def with_row(values: float | list[float]) -> np.ndarray:
    """Return UNIFORM with other values in row 3."""
    changed = UNIFORM.copy()
    changed[3] = values
    return changed


def test_probabilities_are_accepted() -> None:
    check_probabilities(UNIFORM)
    check_probabilities(UNIFORM[:0])
    check_probabilities(UNIFORM.astype(np.float16))
    check_probabilities(with_row(np.nan), nan_rows=True)


@pytest.mark.parametrize(
    "row",
    [
        [np.nan] + [0.1] * 9,
        [np.inf] + [0.0] * 9,
        [-np.inf, np.inf] + [0.1] * 8,
        [1.5, -0.5] + [0.0] * 8,
        [0.0] * 10,
        [0.2] * 10,
        [3e38] * 10,
    ],
)
@pytest.mark.parametrize("nan_rows", [False, True])
def test_anything_else_is_named_with_its_row(row: list[float], *, nan_rows: bool) -> None:
    with pytest.raises(ValueError, match="1 of 5 rows, the first is row 3"):
        check_probabilities(with_row(row), nan_rows=nan_rows)


def test_row_of_nan_is_refused_unless_allowed() -> None:
    with pytest.raises(ValueError, match="row 3"):
        check_probabilities(with_row(np.nan))


@pytest.mark.parametrize("shape", [(5,), (5, 9), (5, 10, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the shape is"):
        check_probabilities(np.full(shape, 0.1))
