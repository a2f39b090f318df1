"""Augmentation's share of a training step of the ``strong`` recipe: none, affine, elastic too.

    python -m benchmarks.augmentation

Each is a learner as ``kd train`` makes it, on made-up images, in batches of the recipe's size. In
every round each trains the same number of steps, one after the other, in an order that turns, so
that all see the same machine; a share is taken within a round. Milliseconds are those of a whole
step: augmentation, forward, backward, optimiser.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from kaggle_digits.machine import machine, versions
from kaggle_digits.training.augment import Augmentation
from kaggle_digits.training.learner import Learner
from kaggle_digits.training.learners import make_learner
from kaggle_digits.training.recipes import find_recipe

WITHOUT = "none"
AMOUNTS = {
    WITHOUT: None,
    "affine": Augmentation(),
    "affine and elastic": Augmentation(elastic=1.0),
}
ROUNDS, STEPS = 15, 16
BAR_SHARE = 0.1


def main() -> int:
    """Print a Markdown table; exit 1 where augmentation takes a larger share than the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run?")
    quick = parser.parse_args().quick
    rounds, steps = (2, 1) if quick else (ROUNDS, STEPS)
    learners = _learners(steps)
    taken: dict[str, list[float]] = {name: [] for name in learners}
    names = list(learners)
    for learner in learners.values():  # the first builds the graph
        _step(learner, steps)
    for turn in range(rounds):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            taken[name].append(_step(learners[name], steps))
    print(f"recipe strong, batches of {find_recipe('strong').batch_size}; medians of {rounds} "
          f"rounds of {steps} steps")  # fmt: skip
    print(f"{machine()}\n{versions()}\n")
    print("| augmentation | ms a step: median (range) | share of the step: median (range) |")
    print("| --- | --- | --- |")
    worst = 0.0
    for name, seconds in taken.items():
        ms = [1000 * value for value in seconds]
        shares = [1 - bare / all_ for bare, all_ in zip(taken[WITHOUT], seconds, strict=True)]
        share = statistics.median(shares)
        worst = max(worst, share)
        span = f"{share:.1%} ({min(shares):.1%} to {max(shares):.1%})" if name != WITHOUT else "–"
        print(f"| {name} | {statistics.median(ms):.1f} ({min(ms):.1f}–{max(ms):.1f}) | {span} |")
    if quick:
        return 0
    print(
        f"\nno more than {BAR_SHARE:.0%} of a step: {'holds' if worst <= BAR_SHARE else 'BROKEN'}"
    )
    return 0 if worst <= BAR_SHARE else 1


def _learners(steps: int) -> dict[str, Learner]:
    """One for each amount, all with the same rows and first weights."""
    recipe = find_recipe("strong")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * recipe.batch_size, 28, 28), np.uint8)
    labels = rng.integers(0, 10, len(images)).astype(np.uint8)
    return {
        name: make_learner(replace(recipe, augment=how), images, labels, seed=0)
        for name, how in AMOUNTS.items()
    }


def _step(learner: Learner, steps: int) -> float:
    """Seconds a step, over ``steps``."""
    began = time.perf_counter()
    learner.train_epoch(0, lambda step, loss, accuracy: None)
    return (time.perf_counter() - began) / steps


if __name__ == "__main__":
    raise SystemExit(main())
