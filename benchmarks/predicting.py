"""Time to predict test.csv with one network: kd against Keras' model.predict with its defaults.

    python -m benchmarks.predicting --data data

Without ``--data``, 28,000 random images are predicted: the time depends neither on the images nor
on the weights, which are random too. TensorFlow is imported and the network built before the
clock starts. In each round, both ways in turn get a new network and predict twice, so that the
first call (with tracing) and a later one are both measured. CPU seconds are reliable even if the
machine is busy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.digits import read_test
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier, Normalizer
from kaggle_digits.models.registry import build

ROWS = 28_000
NETWORKS = ["dense", "fast", "strong", "keras-convnet", "notebook-convnet"]
TOLERANCE = 1e-5
TARGET_RATIO = 0.5
HEADER = (
    "| network | call | Keras, s | kd, s | ratio (range) | CPU seconds | ratio | difference |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)
Predict = Callable[[KerasClassifier, NDArray[np.uint8]], NDArray[np.float32]]


class Timing(NamedTuple):
    """Wall and CPU seconds of the first and a later call, and the predictions."""

    wall: list[float]
    cpu: list[float]
    probabilities: NDArray[np.float32]


def main() -> int:
    """Print a Markdown table; return 1 if the predictions differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with test.csv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="*", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--quick", action="store_true", help="100 images, one round")
    args = parser.parse_args()
    if args.data is not None:
        images = read_test(args.data / "test.csv").images
    else:
        images = np.random.default_rng(0).integers(0, 256, (ROWS, 28, 28), np.uint8)
    if args.quick:
        images, args.rounds = images[:100], 1
    kind = "images of test.csv" if args.data else "random images"
    print(f"{len(images):,} {kind}; medians of {args.rounds} rounds")
    print(f"{hardware()}\n{versions()}\n\n{HEADER}", flush=True)
    is_equal, fast_enough = True, []
    for name in args.networks:
        rounds = [
            (_measure(name, _predict_keras, images), _measure(name, _predict_kd, images))
            for _ in range(args.rounds)
        ]
        difference = max(float(np.abs(a.probabilities - b.probabilities).max()) for a, b in rounds)
        first = rounds[0][1].probabilities
        repeats = all(np.array_equal(kd.probabilities, first) for _, kd in rounds)
        is_equal &= repeats and difference <= TOLERANCE
        for call, call_name in enumerate(("first", "later")):
            wall = [(a.wall[call], b.wall[call]) for a, b in rounds]
            cpu = [(a.cpu[call], b.cpu[call]) for a, b in rounds]
            ratio = _print_row(name, call_name, wall, cpu, difference)
            if call == 0 and ratio <= TARGET_RATIO:
                fast_enough.append(name)
    print(f"\nfirst call at most half of Keras' time: {', '.join(fast_enough) or 'no network'}")
    print(f"within {TOLERANCE} of Keras, the same in each round: {'yes' if is_equal else 'NO'}")
    return 0 if is_equal else 1


def _predict_keras(classifier: KerasClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(classifier.network.predict(images, verbose=0))


def _predict_kd(classifier: KerasClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return classifier.predict_proba(images)


def _measure(name: str, predict: Predict, images: NDArray[np.uint8]) -> Timing:
    keras().backend.clear_session()
    keras().utils.set_random_seed(0)
    body = build(name, {}, rows=ROWS, batch_size=128)
    classifier = KerasClassifier.wrap(body, Normalizer("unit"))
    _randomize_statistics(classifier.network)
    wall, cpu = [], []
    for _ in range(2):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        probabilities = predict(classifier, images)
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    return Timing(wall, cpu, probabilities)


def _randomize_statistics(network: Any) -> None:
    """Assign batch statistics as after a training; those of a new network are 0 and 1."""
    rng = np.random.default_rng(0)
    for variable in network.variables:
        kind = variable.path.rpartition("/")[2]
        if kind == "moving_variance":
            variable.assign(rng.uniform(0.3, 3, variable.shape))
        elif kind in ("gamma", "beta", "moving_mean"):
            variable.assign(rng.normal(0.5, 0.5, variable.shape))


def _print_row(
    name: str,
    call: str,
    wall: list[tuple[float, float]],
    cpu: list[tuple[float, float]],
    difference: float,
) -> float:
    """Print a row; return the median ratio of wall seconds, kd to Keras."""
    ratios = [kd / reference for reference, kd in wall]
    ratio = statistics.median(ratios)
    keras_wall, kd_wall = (statistics.median(seconds) for seconds in zip(*wall, strict=True))
    keras_cpu, kd_cpu = (statistics.median(seconds) for seconds in zip(*cpu, strict=True))
    cpu_ratio = statistics.median(kd / reference for reference, kd in cpu)
    print(
        f"| `{name}` | {call} | {keras_wall:.2f} | {kd_wall:.2f} "
        f"| {ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
        f"| {keras_cpu:.2f} → {kd_cpu:.2f} | {cpu_ratio:.2f} | {difference:.0e} |",
        flush=True,
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
