"""Measure augmentation's share of a training step of the ``strong`` recipe.

    python -m benchmarks.augmentation

Three trainers, as ``kd train`` creates them, train on random images in batches of the recipe's
size: without augmentation, with affine transformations, and with elastic distortion as well. In
every round each trains the same number of steps, in rotating order, so that all see the same load
of the machine. A step is all of augmentation, forward pass, backward pass and optimizer. Shares are
of processor time over all cores, because wall time on a shared machine includes other processes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import Trainer, make_trainer
from kaggle_digits.training.recipes import MODEL_RECIPES

WITHOUT = "none"
AUGMENTATIONS = {
    WITHOUT: None,
    "affine": Augmentation(),
    "affine and elastic": Augmentation(elastic=1.0),
}
ROUNDS, STEPS = 12, 16
MAX_SHARE = 0.1


def main() -> int:
    """Print a Markdown table; exit with 1 if augmentation takes more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, as a test")
    quick = parser.parse_args().quick
    rounds, steps = (2, 1) if quick else (ROUNDS, STEPS)
    trainers = _trainers(steps)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in trainers}
    names = list(trainers)
    for trainer in trainers.values():  # the first step builds the graph
        _step(trainer, steps)
    for offset in range(rounds):
        for place in range(len(names)):
            name = names[(offset + place) % len(names)]
            times[name].append(_step(trainers[name], steps))
    batch = MODEL_RECIPES["strong"].batch_size
    print(f"recipe strong, batches of {batch}; medians of {rounds} rounds of {steps} steps")
    print(f"{hardware()}\n{versions()}\n")
    print("| augmentation | ms per step | processor ms per step (range) | share (range) |")
    print("| --- | --- | --- | --- |")
    baseline = [processor for _, processor in times[WITHOUT]]
    worst = 0.0
    for name, rows in times.items():
        wall_ms = 1000 * statistics.median(wall for wall, _ in rows)
        processor_ms = [1000 * processor for _, processor in rows]
        shares = [1 - 1000 * b / ms for b, ms in zip(baseline, processor_ms, strict=True)]
        share = statistics.median(shares)
        worst = max(worst, share)
        span = f"{share:.1%} ({min(shares):.1%} to {max(shares):.1%})" if name != WITHOUT else "–"
        median = statistics.median(processor_ms)
        middle = f"{median:.1f} ({min(processor_ms):.1f}–{max(processor_ms):.1f})"
        print(f"| {name} | {wall_ms:.1f} | {middle} | {span} |")
    if quick:
        return 0
    met = worst <= MAX_SHARE
    verdict = "met" if met else "MISSED"
    print(f"\nno more than {MAX_SHARE:.0%} of a step's processor time: {verdict} ({worst:.1%})")
    return 0 if met else 1


def _trainers(steps: int) -> dict[str, Trainer]:
    """Return a trainer per augmentation, all with the same rows and initial weights."""
    recipe = MODEL_RECIPES["strong"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * recipe.batch_size, 28, 28), np.uint8)
    labels = rng.integers(0, 10, len(images)).astype(np.uint8)
    return {
        name: make_trainer(replace(recipe, augment=augmentation), images, labels, seed=0)
        for name, augmentation in AUGMENTATIONS.items()
    }


def _step(trainer: Trainer, steps: int) -> tuple[float, float]:
    """Return the wall and processor seconds per step, averaged over ``steps``."""
    wall, processor = time.perf_counter(), time.process_time()
    trainer.train_epoch(0, lambda step, loss, accuracy: None)
    return (time.perf_counter() - wall) / steps, (time.process_time() - processor) / steps


if __name__ == "__main__":
    raise SystemExit(main())
