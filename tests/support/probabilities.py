"""Artificial probabilities with a chosen accuracy and confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LABELS = np.arange(10, dtype=np.uint8).repeat(20)


def noisy_probs(
    labels: NDArray[np.uint8], noise: float, seed: int, sharpness: float = 1.0
) -> NDArray[np.float32]:
    """Return (n, 10) float32 probabilities whose accuracy falls with ``noise``.

    ``sharpness`` multiplies the logits: it changes the confidences but no prediction.
    """
    rng = np.random.default_rng(seed)
    logits = 4 * np.eye(10)[labels] + noise * rng.normal(size=(len(labels), 10))
    powers = np.exp(sharpness * (logits - logits.max(1, keepdims=True)))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def random_labels(n: int = 600) -> NDArray[np.uint8]:
    """Return (n,) uint8 labels, the same in every call."""
    return np.random.default_rng(0).integers(0, 10, n).astype(np.uint8)


def with_confidence(predictions: Sequence[tuple[int, float]]) -> NDArray[np.float32]:
    """Return a row per (digit, confidence); the other digits share the rest equally."""
    table = np.empty((len(predictions), 10), np.float32)
    for row, (digit, confidence) in zip(table, predictions, strict=True):
        row[:] = (1 - confidence) / 9
        row[digit] = confidence
    return table


def wrong_on(wrong: range, missing: range = range(0)) -> NDArray[np.float32]:
    """(200, 10) probabilities, correct except on the rows ``wrong``, NaN on ``missing``."""
    probabilities = np.full((200, 10), 0.01, np.float32)
    probabilities[np.arange(200), LABELS] = 0.91
    probabilities[wrong] = np.roll(probabilities[wrong], 1, axis=1)
    probabilities[missing] = np.nan
    return probabilities
