"""kd classify --why: the parts of a digit that its prediction depends on, in the terminal."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from kaggle_digits.cli import console, half_blocks
from kaggle_digits.core.text import with_article

if TYPE_CHECKING:
    from kaggle_digits.evaluation.saliency import DecisivePart
    from kaggle_digits.inference.predictor import PicturePrediction, Predictor

NARROWEST, WIDEST, GAP = 60, 80, 3  # columns
FALLS, RISES, PART = (235, 95, 0), (50, 110, 235), (255, 240, 150)  # colours on white paper
INK = 70  # brightness of ink that does not matter
DECIMALS = 4


@dataclass(frozen=True)
class Why:
    """Which parts of a (28, 28) image its prediction depends on.

    ``drop``, (28, 28), is how much the probability falls while a square of 4 × 4 pixels is covered,
    and ``lowest`` the lowest probability. Without ``part``, the image is another digit.
    """

    digit: int
    confidence: float
    image: NDArray[np.uint8]
    drop: NDArray[np.float32]
    lowest: float
    part: "DecisivePart | None"

    def to_json(self) -> dict[str, Any]:
        """Return ``why`` of --json; boxes are in the 28 × 28 pixels."""
        return {
            "lowest": self.lowest,
            "without": self.part and asdict(self.part),
            "drop": self.drop.astype(float).round(DECIMALS).tolist(),
        }

    def draw(self) -> Text:
        """Draw the digit, coloured by what decides, with words beside it: 14 lines."""
        share = self.drop / max(1e-6, np.abs(self.drop).max())
        colored = half_blocks.has_colors()
        lines = half_blocks.draw_colors(self._color(share)) if colored else self._shade(share)
        window = max(NARROWEST, min(WIDEST, console.out.width))
        width = window - self.image.shape[1] - GAP
        words = [console.fill(text, width) for text in self._describe(colored=colored)]
        beside = ["", *"\n\n".join(words).split("\n")]
        beside += [""] * len(lines)
        drawing = Text()
        for line, text in zip(lines, beside, strict=False):
            drawing.append_text(line).append(f"{' ' * GAP}{text}".rstrip() + "\n")
        return drawing

    def _describe(self, *, colored: bool) -> list[str]:
        before, after = console.percent(self.confidence), console.percent(self.lowest)
        covered = (
            f"Why {self.digit}? Covering 4 × 4 pixels lowers its probability from {before} to as "
            f"little as {after}."
        )
        removed = "No square of up to 10 × 10 pixels makes it another digit."
        if self.part:
            side = self.part.box[2] - self.part.box[0]
            removed = (
                f"Removing {side} × {side} pixels at the {self.part.where}"
                f"{', on yellow,' * colored} makes it {with_article(self.part.digit)} "
                f"({console.percent(self.part.probability)})."
            )
        legend = "█ matters most, ░ less."
        if colored:
            legend = f"Orange speaks for the {self.digit}, blue against it."
        return [covered, removed, legend]

    def _color(self, share: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return (28, 28, 3): dark ink, orange or blue where it matters, the part on yellow."""
        paper = np.full((*self.image.shape, 3), 255.0)
        if self.part:
            left, top, right, bottom = self.part.box
            paper[top:bottom, left:right] = PART
        hue = np.where((share > 0)[..., None], FALLS, RISES)
        strength = np.abs(share)[..., None]
        ink = strength * hue + (1 - strength) * INK
        cover = self.image[..., None] / 255
        return np.asarray(np.rint(paper * (1 - cover) + ink * cover), np.uint8)

    def _shade(self, share: NDArray[np.float32]) -> list[Text]:
        """Draw without colours."""
        is_ink = self.image.reshape(14, 2, 28).max(axis=1) > 127
        matters = is_ink & (share.reshape(14, 2, 28).max(axis=1) > 0.5)
        levels = is_ink.astype(int) + matters
        return [Text("".join(" ░█"[level] for level in row)) for row in levels]


def explain(predictor: "Predictor", prediction: "PicturePrediction") -> Why | None:
    """Find out what a prediction depends on, by predicting without parts; None without a digit."""
    from kaggle_digits.evaluation.saliency import decisive_part, probability_drop

    digit, confidence, image = prediction.digit, prediction.confidence, prediction.image
    if digit is None or confidence is None:
        return None
    drop, lowest = probability_drop(predictor.predict_proba, image, digit)
    part = decisive_part(predictor.predict_proba, image, digit)
    return Why(digit, confidence, image, drop, lowest, part)
