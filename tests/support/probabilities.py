"""Made-up probabilities: as good, and as sure of themselves, as a test wants them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def noisy_probs(
    labels: NDArray[np.uint8], strength: float, seed: int, sureness: float = 1.0
) -> NDArray[np.float32]:
    """(n, 10) float32 that are right more often the smaller ``strength``.

    ``sureness`` multiplies the logits: it changes no answer, only how sure each is.
    """
    rng = np.random.default_rng(seed)
    logits = 4 * np.eye(10)[labels] + strength * rng.normal(size=(len(labels), 10))
    powers = np.exp(sureness * (logits - logits.max(1, keepdims=True)))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def random_labels(n: int = 600) -> NDArray[np.uint8]:
    """(n,) digits, always the same."""
    return np.random.default_rng(0).integers(0, 10, n).astype(np.uint8)
