"""Read every digit on a picture, and group them into lines."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.imaging.loading import NO_DIGIT
from kaggle_digits.imaging.sheets import Box, PreparedSheet, SheetPart
from kaggle_digits.inference.not_digit import MAX_SCORE, not_digit_scores
from kaggle_digits.models.base import ProbabilisticModel

# Costs of a reading, in nats beside the negative logarithm of its probabilities: of each digit, so
# that a part is cut only where the pieces read better, of a candidate that does not look like a
# digit, more if it would be left out, and of its width beyond so many heights.
DIGIT_COST, LOOK_COST, LEFT_OUT_COST, WIDTH_COST, WIDTH = 0.7, 0.5, 1.0, 4.0, 1.15
LEAST_CONFIDENCE, LEAST_LIKENESS = 1e-3, 2e-4  # whose logarithms count
# Digits of a line differ in level by less than this fraction of the height. Gaps wider than this
# many median gaps and this fraction of the height separate numbers.
SAME_LINE, SPACE_GAPS, SPACE_HEIGHT = 0.6, 2.5, 0.6


@dataclass(frozen=True)
class SheetDigit:
    """A digit on a sheet, and its probability.

    The box is left, top, right, bottom in pixels of the upright picture, the line a number from 0,
    and the score that of ``not_digit_scores``.
    """

    digit: int
    confidence: float
    box: Box
    line: int
    not_a_digit_score: float


@dataclass(frozen=True)
class SheetPrediction:
    """The digits in reading order, and each line as text, such as "1984 07".

    ``note`` is "" or says what was left out. ``picture`` is (h, w, 3) uint8, ``scale`` its size
    relative to the boxes.
    """

    digits: tuple[SheetDigit, ...]
    lines: tuple[str, ...]
    note: str
    picture: NDArray[np.uint8]
    scale: float


def classify_sheet(model: ProbabilisticModel, sheet: PreparedSheet) -> SheetPrediction:
    """Read the digits of a picture that ``prepare_sheet`` prepared."""
    candidates = [candidate for part in sheet.parts for candidate in part.candidates.values()]
    images = np.stack([np.zeros((SIDE, SIDE), np.uint8), *(each.image for each in candidates)])[1:]
    read = iter(zip(model.predict_proba(images), not_digit_scores(images), strict=True))
    found = []
    for part in sheet.parts:
        found += _best_reading(part, {span: next(read) for span in part.candidates})
    digits = [digit for digit in found if digit.not_a_digit_score <= MAX_SCORE]
    left_out = len(found) - len(digits)
    note = "" if digits else NO_DIGIT
    if digits and left_out:
        marks = "1 mark that does" if left_out == 1 else f"{left_out} marks that do"
        note = f"{marks} not look like a digit left out"
    lines = _split_into_lines(digits)
    ordered = [replace(digit, line=number) for number, line in enumerate(lines) for digit in line]
    texts = tuple(map(_write, lines))
    return SheetPrediction(tuple(ordered), texts, note, sheet.picture, sheet.scale)


def _best_reading(
    part: SheetPart, read: dict[tuple[int, int], tuple[NDArray[np.float32], np.float32]]
) -> list[SheetDigit]:
    """Return the digits of the cheapest way to cut a part, by dynamic programming."""
    best: dict[int, tuple[float, list[SheetDigit]]] = {0: (0.0, [])}
    for first, after in sorted(part.candidates, key=lambda span: (span[1], span[0])):
        if first not in best:
            continue
        candidate, (probabilities, score) = part.candidates[first, after], read[first, after]
        digit = int(probabilities.argmax())
        one = SheetDigit(digit, float(probabilities[digit]), candidate.box, 0, float(score))
        cost = best[first][0] + DIGIT_COST + _cost(one)
        if cost < best.get(after, (np.inf, []))[0]:
            best[after] = cost, [*best[first][1], one]
    return best.get(part.pieces, (0.0, []))[1]


def _cost(one: SheetDigit) -> float:
    left, top, right, bottom = one.box
    width = (right - left) / max(bottom - top, 1)
    likeness = max(1 - one.not_a_digit_score, LEAST_LIKENESS)
    doubts = -np.log([max(one.confidence, LEAST_CONFIDENCE), likeness])
    left_out = LEFT_OUT_COST * (one.not_a_digit_score > MAX_SCORE)
    return float(doubts @ (1, LOOK_COST)) + left_out + WIDTH_COST * max(width - WIDTH, 0)


def _split_into_lines(digits: list[SheetDigit]) -> list[list[SheetDigit]]:
    """Return the lines, which may slope, from top to bottom, each from left to right."""
    boxes = np.array([digit.box for digit in digits], float).reshape(-1, 4)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    heights = boxes[:, 3] - boxes[:, 1]
    levels = y - _slope(x, y, heights) * x
    lines: list[list[int]] = []
    for index in np.argsort(levels).tolist():
        if lines:
            height = max(np.median(heights[lines[-1]]), heights[index])
            if levels[index] - np.median(levels[lines[-1]]) < SAME_LINE * height:
                lines[-1].append(index)
                continue
        lines.append([index])
    return [[digits[index] for index in sorted(line, key=lambda i: x[i])] for line in lines]


def _write(line: list[SheetDigit]) -> str:
    """Return the text of a line, with a space between numbers."""
    gaps = [after.box[0] - before.box[2] for before, after in pairwise(line)]
    height = float(np.median([digit.box[3] - digit.box[1] for digit in line]))
    widest = max(SPACE_HEIGHT * height, SPACE_GAPS * float(np.median(gaps or [0])))
    spaces = [" " if gap > widest else "" for gap in gaps]
    return "".join(
        space + str(digit.digit) for space, digit in zip(["", *spaces], line, strict=True)
    )


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], heights: NDArray[np.float64]) -> float:
    """Return the median slope from each digit to its nearest neighbour on the right; 0 if none."""
    slopes = []
    for i in range(len(x)):
        ahead = np.flatnonzero((x > x[i] + 0.2 * heights[i]) & (np.abs(y - y[i]) < heights[i]))
        if ahead.size:
            j = ahead[np.argmin(x[ahead] - x[i] + 2 * np.abs(y[ahead] - y[i]))]
            slopes.append((y[j] - y[i]) / (x[j] - x[i]))
    return float(np.median(slopes)) if slopes else 0.0
