"""Predicting test.csv with one network: kd against Keras' model.predict as it comes.

    python -m benchmarks.predicting --data data

Without ``--data``, 28,000 images of noise are predicted: the time does not depend on what is in
them, nor on the weights, which are random. TensorFlow is imported and the network built before
the clock starts. Turns are taken: in each round both ways get a fresh network and predict twice,
so that what the first call costs (tracing) is counted, and what it does not. Wall seconds are what
a user waits; processor seconds hold even where the machine has other work.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.digits import read_test
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier
from kaggle_digits.models.normalization import Normalizer
from kaggle_digits.models.registry import build

ROWS = 28_000
NETWORKS = ["dense", "fast", "strong", "keras-convnet", "notebook-convnet"]
MOST_APART = 1e-5
BAR = 0.5
HEAD = (
    "| network | call | Keras, s | kd, s | ratio (range) | processor seconds | ratio | apart |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)
Way = Callable[[KerasClassifier, NDArray[np.uint8]], NDArray[np.float32]]


def main() -> int:
    """Print a Markdown table; exit 1 where the two ways disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with test.csv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="*", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--quick", action="store_true", help="100 images, one round: a trial run")
    given = parser.parse_args()
    if given.data is not None:
        images = read_test(given.data / "test.csv").images
    else:
        images = np.random.default_rng(0).integers(0, 256, (ROWS, 28, 28), np.uint8)
    if given.quick:
        images, given.rounds = images[:100], 1
    what = "of test.csv" if given.data else "of noise"
    print(f"{len(images):,} images {what}; medians of {given.rounds} rounds")
    print(f"{hardware()}\n{versions()}\n\n{HEAD}", flush=True)
    agree, holds = True, []
    for name in given.networks:
        rounds = [(_measure(name, _peer, images), _measure(name, _ours, images))
                  for _ in range(given.rounds)]  # fmt: skip
        apart = max(float(np.abs(peer[2] - ours[2]).max()) for peer, ours in rounds)
        same = all(np.array_equal(ours[2], rounds[0][1][2]) for _, ours in rounds)
        agree &= same and apart <= MOST_APART
        for call, which in enumerate(("first", "later")):
            wall = [(peer[0][call], ours[0][call]) for peer, ours in rounds]
            busy = [(peer[1][call], ours[1][call]) for peer, ours in rounds]
            ratio = _row(name, which, wall, busy, apart)
            if call == 0 and ratio <= BAR:
                holds.append(name)
    print(f"\nfirst call at most half of Keras' time: {', '.join(holds) or 'no network'}")
    print(f"within {MOST_APART} of Keras and the same in each round: {'yes' if agree else 'NO'}")
    return 0 if agree else 1


def _peer(classifier: KerasClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(classifier.network.predict(images, verbose=0))


def _ours(classifier: KerasClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return classifier.predict_proba(images)


def _measure(
    name: str, way: Way, images: NDArray[np.uint8]
) -> tuple[list[float], list[float], NDArray[np.float32]]:
    """Wall seconds and processor seconds of the first and a later call, and the answers."""
    classifier = KerasClassifier.wrap(_network(name), Normalizer("unit"))
    _unsettle(classifier.network)
    wall, busy = [], []
    for _ in range(2):
        began, worked = time.perf_counter(), time.process_time()
        answers = way(classifier, images)
        wall.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    return wall, busy, answers


def _network(name: str) -> Any:
    keras().backend.clear_session()
    keras().utils.set_random_seed(0)
    return build(name, {}, rows=ROWS, batch_size=128)


def _unsettle(network: Any) -> None:
    """Statistics and scales as after a training: those of a new network are 0 and 1."""
    rng = np.random.default_rng(0)
    for variable in network.variables:
        kind = variable.path.rpartition("/")[2]
        if kind == "moving_variance":
            variable.assign(rng.uniform(0.3, 3, variable.shape))
        elif kind in ("gamma", "beta", "moving_mean"):
            variable.assign(rng.normal(0.5, 0.5, variable.shape))


def _row(
    name: str,
    call: str,
    wall: list[tuple[float, float]],
    busy: list[tuple[float, float]],
    apart: float,
) -> float:
    """Print one row; returns the median ratio of wall seconds."""
    ratios = [ours / peer for peer, ours in wall]
    ratio = statistics.median(ratios)
    peer, ours = (statistics.median(seconds) for seconds in zip(*wall, strict=True))
    peer_busy, ours_busy = (statistics.median(seconds) for seconds in zip(*busy, strict=True))
    less = statistics.median(mine / other for other, mine in busy)
    print(
        f"| `{name}` | {call} | {peer:.2f} | {ours:.2f} "
        f"| {ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
        f"| {peer_busy:.2f} → {ours_busy:.2f} | {less:.2f} | {apart:.0e} |",
        flush=True,
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
