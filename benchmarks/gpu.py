"""Measure training on a GPU: first the times of whole commands, then which settings help.

    KERAS_BACKEND=jax python -m benchmarks.gpu times --data data
    KERAS_BACKEND=jax python -m benchmarks.gpu ablation --data data --minutes 8 --keep ablation.json

``times`` runs ``kd train`` for each recipe in new processes: members one by one, then at once with
an empty cache of compiled programs, then again with the filled one; and the published notebook's
network beside them.

``ablation`` trains SETTINGS with the same seeds and folds, the members of many seeds at once, and
compares the out-of-fold errors of each setting with those of the first, seed by seed. It stops
before the limit and saves what it has; with ``--keep`` a later call continues.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from kaggle_digits.core import library_settings
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split, split
from kaggle_digits.executors.at_once import Together
from kaggle_digits.models.backend import PRECISION
from kaggle_digits.models.tta import predict_tta
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import Epoch, make_trainer, member_seed
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import STRONG

ONE_BY_ONE = "one by one"
WAYS = (ONE_BY_ONE, "at once", "at once, compiled before")
TIMED = ("fast", "strong", "best", "peer-notebook")
FIRST_SEED = 100  # not used for any choice before
SEEDS = 15
AFFINE = STRONG.augment or Augmentation()


class Setting(NamedTuple):
    """What is trained; without ``precision``, layers compute in what the GPU is fastest in."""

    recipe: Recipe
    folds: int = 5
    precision: str = ""


# The first is the reference. Most promising first.
SETTINGS = {
    "strong": Setting(STRONG),
    "10 folds, half the epochs": Setting(replace(STRONG, epochs=STRONG.epochs // 2), 10),
    "float32": Setting(STRONG, precision="float32"),
    "36 epochs, averaged weights": Setting(replace(STRONG, epochs=36, ema=0.999)),
    "elastic 1 px": Setting(replace(STRONG, augment=replace(AFFINE, elastic=1.0))),
    "wider": Setting(replace(STRONG, widths=(32, 64, 128, 192))),
    "10 folds": Setting(STRONG, 10),
    "elastic 0.5 px": Setting(replace(STRONG, augment=replace(AFFINE, elastic=0.5))),
    "48 epochs, averaged weights": Setting(replace(STRONG, epochs=48, ema=0.999)),
    "3 × 3 filters": Setting(replace(STRONG, model="strong-3x3")),
    "no label smoothing": Setting(replace(STRONG, label_smoothing=0.0)),
}


def main() -> None:
    """Print the device, the versions and a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("times", "ablation"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--members", type=int, default=75, help="networks trained at once")
    parser.add_argument("--recipes", nargs="+", default=TIMED)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--rows", type=int, help="use only N labelled rows")
    parser.add_argument("--keep", type=Path, help="file of results that a later call continues")
    options = parser.parse_args()
    print(f"{hardware()}\n{versions()}\n", flush=True)
    if options.part == "times":
        times(options)
    else:
        ablation(options)


def times(options: argparse.Namespace) -> None:
    """Print the seconds of each recipe's whole command."""
    print("| recipe | way | whole command, s | training, s | accuracy |")
    print("| --- | --- | --- | --- | --- |")
    for recipe in options.recipes:
        with tempfile.TemporaryDirectory() as cache:
            for way in options.ways:
                words = ["--workers", "1"] if way == ONE_BY_ONE else []
                env = {**os.environ, "XDG_CACHE_HOME": f"{cache}/{'single' if words else 'once'}"}
                seconds, metrics = _timed(recipe, words, options, env)
                accuracy = f"{100 * metrics['val_accuracy']:.2f} % of {metrics['n_val']:,}"
                print(
                    f"| `{recipe}` | {way} | {seconds:.1f} | {metrics['train_seconds']:.1f} | "
                    f"{accuracy} |",
                    flush=True,
                )


def _timed(
    recipe: str, words: list[str], options: argparse.Namespace, env: dict[str, str]
) -> tuple[float, dict[str, Any]]:
    command = [sys.executable, "-m", "kaggle_digits", "train", "--recipe", recipe, "--json", *words]
    command += ["--data-dir", str(options.data.absolute())]
    command += ["--rows", str(options.rows)] * bool(options.rows)
    with tempfile.TemporaryDirectory() as work:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=work, env=env, check=True, stdout=subprocess.PIPE)
        return time.perf_counter() - started, json.loads(done.stdout)


def ablation(options: argparse.Namespace) -> None:
    """Print errors and the paired difference of each setting, as far as the time allows."""
    dataset = load(options.data)
    end = time.monotonic() + 60 * options.minutes
    found: dict[str, dict[str, int]] = {}
    if options.keep and options.keep.exists():
        found = json.loads(options.keep.read_text())
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    slowest = 0.0
    rows = options.rows or len(dataset.train)
    print(f"| setting | errors of {rows:,} | difference (95 %) | p | seeds |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.settings:
        setting = SETTINGS[name]
        errors = found.setdefault(name, {})
        todo = [seed for seed in seeds if str(seed) not in errors]
        at_once = max(1, options.members // setting.folds)
        for start in range(0, len(todo), at_once):
            if time.monotonic() + slowest > end:
                break
            started = time.monotonic()
            some = todo[start : start + at_once]
            errors |= count_errors(dataset, setting, some, options.rows)
            slowest = max(slowest, time.monotonic() - started)
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            if options.keep:
                write_json(options.keep, found)
        print(row(name, errors, found[options.settings[0]]), flush=True)


def count_errors(
    dataset: Dataset, setting: Setting, seeds: Sequence[int], rows: int | None
) -> dict[str, int]:
    """Return seed → out-of-fold errors; the folds of all seeds are trained at once."""
    recipe = setting.recipe
    with library_settings.variables({PRECISION: setting.precision} if setting.precision else {}):
        held_out, epochs = [], []
        for seed in seeds:
            folds = split(dataset.labels, Split("folds", folds=setting.folds, seed=seed, rows=rows))
            for member, fold in enumerate(folds):
                held_out.append((str(seed), fold.val))
                images, labels = dataset.train.images[fold.train], dataset.labels[fold.train]
                trainer = make_trainer(recipe, images, labels, member_seed(seed, member))
                assert isinstance(trainer, KerasTrainer)
                epochs.append(Epoch(trainer, 0, lambda *progress: None))
        together = Together(epochs)
        for number in range(recipe.epochs):
            together.train([replace(epoch, number=number) for epoch in epochs])
    errors = dict.fromkeys(map(str, seeds), 0)
    for (seed_text, val), epoch in zip(held_out, epochs, strict=True):
        assert isinstance(epoch.trainer, KerasTrainer)
        epoch.trainer.finish()
        classifier, views = epoch.trainer.classifier, recipe.views
        predicted = predict_tta(classifier, dataset.train.images[val], views, recipe.affine_range)
        errors[seed_text] += int((predicted[views].argmax(1) != dataset.labels[val]).sum())
    return errors


def row(name: str, errors: dict[str, int], reference: dict[str, int]) -> str:
    """Return a row: mean errors, mean paired difference with its t-interval, and the t-test's p."""
    shared = sorted(errors.keys() & reference.keys())
    mean = f"{np.mean([errors[seed] for seed in shared]):.1f}" if shared else "–"
    difference = np.array([errors[seed] - reference[seed] for seed in shared])
    if errors is reference or len(shared) < 2 or not difference.any():
        return f"| {name} | {mean} | – | – | {len(shared)} |"
    test = stats.ttest_1samp(difference, 0)
    low, high = test.confidence_interval()
    return (
        f"| {name} | {mean} | {difference.mean():+.1f} ({low:+.1f} to {high:+.1f}) | "
        f"{test.pvalue:.3f} | {len(shared)} |"
    )


if __name__ == "__main__":
    main()
