"""A folder of drawings with labels.csv, as kd app saves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kaggle_digits.imaging.labelled_folder import save_drawing
from tests.support.pictures import draw_digit, encode


def write_labelled(folder: Path, digits: Sequence[int]) -> Path:
    """Draw digits into ``folder`` with their true labels, and return it."""
    for digit in digits:
        save_drawing(folder, encode(draw_digit(digit)), digit)
    return folder
