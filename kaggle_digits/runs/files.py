"""Read and write single files of a run folder.

A run may be damaged, of another version of this package, or made by somebody else. Every file is
read here, whole or not at all: the values have the right type, shape and range, or the error says
in a few words what is wrong. ``explain_damage`` turns it into a RunError with the file's name.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, read_file, write_text
from kaggle_digits.core.errors import RunError, one_line
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.data.probabilities import Probabilities, check_probabilities

HISTORY_COLUMNS = ["member", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
HISTORY_COLUMNS += ["learning_rate", "seconds"]
MAX_BYTES = 1 << 29  # of an array or a table; those of the largest run have a hundredth


@contextmanager
def explain_damage(path: Path, remedy: str | Callable[[], str], name: str = "") -> Iterator[None]:
    """Raise RunError for any exception that reading ``path`` raises.

    Its message is ``name``, by default the path, what is wrong with it, and the ``remedy``, which
    may be a function that returns it.
    """

    def advice() -> str:
        return remedy if isinstance(remedy, str) else remedy()

    try:
        yield
    except FileNotFoundError:
        raise RunError(f"{path} is missing; {advice()}") from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        raise RunError(f"{name or path} is damaged ({reason}); {advice()}") from error


def write_probabilities(path: Path, probabilities: Probabilities) -> None:
    """Write (n, 10) float32 probabilities to a .npy file, atomically."""
    write_array(path, np.ascontiguousarray(probabilities, np.float32))


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Write a .npy file, atomically."""
    with atomic_write(path) as part:
        np.save(part, values)


def read_probabilities(
    path: Path, rows: int | None = None, *, nan_rows: bool = False
) -> Probabilities:
    """Read (n, 10) float32 probabilities; n must be ``rows`` unless that is None.

    ``nan_rows`` is that of check_probabilities. Raises as read_array.
    """
    values = read_array(path, np.float32, (rows, CLASSES))
    check_probabilities(values, nan_rows=nan_rows)
    return values


def read_array(path: Path, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Read a .npy file of ``dtype``, which may be abstract; None in ``shape`` allows any length.

    Raises OSError if it cannot be read, ValueError if it is not such an array or is truncated. A
    size that only a damaged header claims costs no memory.
    """
    content = io.BytesIO(read_file(path, MAX_BYTES))
    wanted = ", ".join("n" if length is None else str(length) for length in shape)
    wanted = f"instead of {dtype.__name__} ({wanted})"
    try:
        values: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python and raises several types
        raise ValueError(f"it holds no numbers {wanted}, or its size is wrong") from error
    if content.read(1):
        raise ValueError("its size is larger than that of its array")
    fits = values.ndim == len(shape) and all(
        length in (None, found) for length, found in zip(shape, values.shape, strict=True)
    )
    if not (fits and np.issubdtype(values.dtype, dtype) and values.dtype.isnative):
        raise ValueError(f"it holds {values.dtype} {values.shape} {wanted}")
    return values


def write_history(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write history.csv: a row per member and epoch, with an empty cell for None."""
    table = io.StringIO()
    writer = csv.DictWriter(table, HISTORY_COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())


def read_history(path: Path) -> list[dict[str, float]]:
    """Read history.csv: a dict of column → float, or NaN for an empty cell, per row.

    Raises OSError if it cannot be read, csv.Error or ValueError if it is damaged.
    """
    text = read_file(path, MAX_BYTES).decode()
    if not text.endswith("\n"):
        raise ValueError("it is truncated")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if not {*HISTORY_COLUMNS} <= {*(reader.fieldnames or ())}:
        raise ValueError("it lacks columns")
    rows = []
    for cells in reader:
        if None in cells or None in cells.values():
            raise ValueError(f"line {reader.line_num} has too many or too few cells")
        row = {key: float(cell) if cell else math.nan for key, cell in cells.items()}
        if any(cell and not math.isfinite(row[key]) for key, cell in cells.items()):
            raise ValueError(f"line {reader.line_num} holds NaN or infinity")
        rows.append(row)
    return rows
