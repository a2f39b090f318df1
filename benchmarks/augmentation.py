"""Augmentation's share of a training step of the ``strong`` recipe: none, affine, elastic too.

    python -m benchmarks.augmentation

Each is a learner as ``kd train`` makes it, on made-up images, in batches of the recipe's size. In
every round each trains the same number of steps, one after the other, in an order that turns, so
that all see the same machine; a share is taken within a round. A step is all of augmentation,
forward, backward and optimiser. The share is one of processor time, over all cores: on a shared
machine the clock on the wall tells more of the others' work than of ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.recipes import MODEL_RECIPES
from kaggle_digits.training.trainer import Trainer

WITHOUT = "none"
AMOUNTS = {
    WITHOUT: None,
    "affine": Augmentation(),
    "affine and elastic": Augmentation(elastic=1.0),
}
ROUNDS, STEPS = 12, 16
BAR_SHARE = 0.1


def main() -> int:
    """Print a Markdown table; exit 1 where augmentation takes a larger share than the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run?")
    quick = parser.parse_args().quick
    rounds, steps = (2, 1) if quick else (ROUNDS, STEPS)
    learners = _learners(steps)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in learners}
    names = list(learners)
    for learner in learners.values():  # the first builds the graph
        _step(learner, steps)
    for turn in range(rounds):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            taken[name].append(_step(learners[name], steps))
    batch = MODEL_RECIPES["strong"].batch_size
    print(f"recipe strong, batches of {batch}; medians of {rounds} rounds of {steps} steps")
    print(f"{hardware()}\n{versions()}\n")
    print("| augmentation | ms a step | processor ms a step (range) | share (range) |")
    print("| --- | --- | --- | --- |")
    bare = [used for _, used in taken[WITHOUT]]
    worst = 0.0
    for name, rows in taken.items():
        wall = 1000 * statistics.median(passed for passed, _ in rows)
        busy = [1000 * used for _, used in rows]
        shares = [1 - 1000 * least / ms for least, ms in zip(bare, busy, strict=True)]
        share = statistics.median(shares)
        worst = max(worst, share)
        span = f"{share:.1%} ({min(shares):.1%} to {max(shares):.1%})" if name != WITHOUT else "–"
        middle = f"{statistics.median(busy):.1f} ({min(busy):.1f}–{max(busy):.1f})"
        print(f"| {name} | {wall:.1f} | {middle} | {span} |")
    if quick:
        return 0
    held = worst <= BAR_SHARE
    verdict = "holds" if held else "BROKEN"
    print(f"\nno more than {BAR_SHARE:.0%} of a step's processor time: {verdict} ({worst:.1%})")
    return 0 if held else 1


def _learners(steps: int) -> dict[str, Trainer]:
    """One for each amount, all with the same rows and first weights."""
    recipe = MODEL_RECIPES["strong"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * recipe.batch_size, 28, 28), np.uint8)
    labels = rng.integers(0, 10, len(images)).astype(np.uint8)
    return {
        name: make_trainer(replace(recipe, augment=how), images, labels, seed=0)
        for name, how in AMOUNTS.items()
    }


def _step(learner: Trainer, steps: int) -> tuple[float, float]:
    """Seconds a step, on the wall and of the processor, over ``steps``."""
    began, used = time.perf_counter(), time.process_time()
    learner.train_epoch(0, lambda step, loss, accuracy: None)
    return (time.perf_counter() - began) / steps, (time.process_time() - used) / steps


if __name__ == "__main__":
    raise SystemExit(main())
