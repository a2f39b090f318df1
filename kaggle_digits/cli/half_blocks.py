"""Draw small images in the terminal: a character shows two pixels, one above the other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

from kaggle_digits.cli import console

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# (upper is ink, lower is ink) → character
BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def has_colors() -> bool:
    """Return whether standard output shows colours and every character."""
    unicode = console.supports_unicode(sys.stdout)
    return unicode and console.out.color_system is not None and not console.out.no_color


def draw_colors(colors: NDArray[np.uint8]) -> list[Text]:
    """Draw an image, (h, w, 3) with an even h, as h / 2 lines of w coloured characters."""
    lines = []
    for upper, lower in zip(colors[::2], colors[1::2], strict=True):
        line = Text()
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        lines.append(line)
    return lines


def draw_ink(ink: NDArray[np.bool_]) -> list[Text]:
    """Draw ink, (h, w) with an even h, as h / 2 lines of w characters without colours."""
    pairs = zip(ink[::2].tolist(), ink[1::2].tolist(), strict=True)
    return [Text("".join(BLOCKS[pair] for pair in zip(*pair, strict=True))) for pair in pairs]
