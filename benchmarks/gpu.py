"""Measure training on a GPU: first the times of whole commands, then which settings help.

    KERAS_BACKEND=jax python -m benchmarks.gpu times --data data
    KERAS_BACKEND=jax python -m benchmarks.gpu ablation --data data --minutes 8 --keep FOLDER
    python -m benchmarks.gpu ensembles --data data --keep FOLDER

``times`` runs ``kd train`` for each recipe in new processes: members one by one, then at once with
an empty cache of compiled programs, then again with the filled one; and the published notebook's
network beside them.

``ablation`` trains SETTINGS with the same seeds and folds, the members of many seeds at once, and
compares the out-of-fold errors of each setting with those of the first, seed by seed. It stops
before the limit; with ``--keep`` it saves the predictions of each setting, and a later call
continues. With ``--pictures``, the errors on folders of labelled pictures are compared too.

``ensembles`` reads these predictions: the errors of averages over more and more seeds, compared
with the published ensemble by McNemar's test, and the number of rows that all networks miss.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.pictures import read_folder
from kaggle_digits.core import library_settings
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.data.splits import Split, split
from kaggle_digits.executors.at_once import Together
from kaggle_digits.imaging.loading import prepare
from kaggle_digits.metrics.scores import mcnemar
from kaggle_digits.models.backend import PRECISION
from kaggle_digits.plots import style
from kaggle_digits.plots.digit_grids import digit_grid
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import (
    Epoch,
    FoldTask,
    make_trainer,
    member_seed,
    predict_views,
    training_rows,
)
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import RECIPES, STRONG

ONE_BY_ONE = "one by one"
WAYS = (ONE_BY_ONE, "at once", "at once, compiled before")
TIMED = ("fast", "strong", "best", "peer-notebook")
FIRST_SEED = 100  # not used for any choice before
SEEDS = 15
AFFINE = STRONG.augment or Augmentation()
PUBLISHED = "published network"
BEST, BEST_3X3 = RECIPES["best"].recipes
MIXED = {"18 epochs, as in best", "3 × 3 filters, as in best"}
AVERAGED = (1, 2, 4, 8, 12, 15)  # seeds


class Setting(NamedTuple):
    """What is trained; without ``precision``, layers compute in what the GPU is fastest in."""

    recipe: Recipe
    folds: int = 5
    precision: str = ""


# The first is the reference. Most promising first.
SETTINGS = {
    "strong": Setting(STRONG),
    "upstrokes on a tenth of the 1s": Setting(
        replace(STRONG, augment=replace(AFFINE, upstrokes=0.1))
    ),
    PUBLISHED: Setting(RECIPES["peer-notebook"].recipes[0]),
    "3 × 3 filters, as in best": Setting(BEST_3X3),
    "18 epochs, as in best": Setting(BEST),
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
    parts = {"times": times, "ablation": ablation, "ensembles": ensembles}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--members", type=int, default=75, help="networks trained at once")
    parser.add_argument("--recipes", nargs="+", default=TIMED)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--rows", type=int, help="use only N labelled rows for the times")
    parser.add_argument("--keep", type=Path, help="folder of predictions, to go on later")
    parser.add_argument("--figure", type=Path, help="file for the rows that all networks miss")
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="folders with labels")
    options = parser.parse_args()
    print(f"{hardware()}\n{versions()}\n", flush=True)
    parts[options.part](options)


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


class Predictions(NamedTuple):
    """What the networks of S seeds predicted for n rows, out of fold.

    ``seeds`` (S,); ``probabilities`` (S, n, 10) float16; ``pictures`` (S, kinds), the errors of a
    network on the pictures of each kind, averaged over the folds.
    """

    seeds: NDArray[np.int64]
    probabilities: NDArray[np.float16]
    pictures: NDArray[np.float64]

    def errors(self, labels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the errors of each seed on the n rows with these labels."""
        count: NDArray[np.int64] = (self.probabilities.argmax(axis=2) != labels).sum(axis=1)
        return count


def averaged(probabilities: Sequence[NDArray[np.float16]]) -> NDArray[np.int64]:
    """Return the (n,) classes of the average over all seeds of the (S, n, 10) arrays."""
    mean = np.concatenate(probabilities).mean(axis=0, dtype=np.float32)
    classes: NDArray[np.int64] = mean.argmax(axis=1)
    return classes


def ablation(options: argparse.Namespace) -> None:
    """Print errors and the paired difference of each setting, as far as the time allows."""
    dataset = load(options.data)
    end = time.monotonic() + 60 * options.minutes
    pictures = labelled_pictures(options.pictures)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    labels = dataset.labels
    reference: Predictions | None = None
    slowest = 0.0
    print("| setting | rows | errors | difference (95 %) | p | seeds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.settings:
        setting = SETTINGS[name]
        found = read_kept(options.keep, name)
        todo = [seed for seed in seeds if found is None or seed not in found.seeds]
        at_once = max(1, options.members // setting.folds)
        for start in range(0, len(todo), at_once):
            if time.monotonic() + slowest > end:
                break
            started = time.monotonic()
            some = todo[start : start + at_once]
            new = train_seeds(dataset, setting, some, pictures)
            if found is not None:
                pairs: Any = zip(found, new, strict=True)
                new = Predictions(*map(np.concatenate, pairs))
            found = new
            slowest = max(slowest, time.monotonic() - started)
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            if options.keep:
                np.savez_compressed(kept_file(options.keep, name), **found._asdict())
        if found is None:
            continue
        reference = reference or found
        counts: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
            f"{len(labels):,}": (found.errors(labels), reference.errors(labels))
        }
        for number, (kind, (_, own)) in enumerate(pictures.items()):
            counts[f"{len(own)} {kind}"] = found.pictures[:, number], reference.pictures[:, number]
        for rows, both in counts.items():
            by_seed = [
                dict(zip(predictions.seeds.tolist(), errors.tolist(), strict=True))
                for predictions, errors in zip((found, reference), both, strict=True)
            ]
            print(row(name, rows, *by_seed), flush=True)


def labelled_pictures(folders: Sequence[Path]) -> dict[str, tuple[Any, NDArray[np.int64]]]:
    """Return kind → (prepared images, labels) of folders in the form of benchmarks.pictures."""
    kinds: dict[str, tuple[Any, NDArray[np.int64]]] = {}
    for folder in folders:
        rows, labels, pictures = read_folder(folder)
        images = np.stack([prepare(picture).image for picture in pictures])
        own = np.array([row.get("kind", folder.name) for row in rows])
        kinds |= {kind: (images[own == kind], labels[own == kind]) for kind in sorted({*own})}
    return kinds


def train_seeds(
    dataset: Dataset,
    setting: Setting,
    seeds: Sequence[int],
    pictures: dict[str, tuple[Any, NDArray[np.int64]]],
) -> Predictions:
    """Return the predictions of each seed; the folds of all seeds are trained at once."""
    recipe = setting.recipe
    with library_settings.variables({PRECISION: setting.precision} if setting.precision else {}):
        held_out, epochs = [], []
        for number, seed in enumerate(seeds):
            folds = split(dataset.labels, Split("folds", folds=setting.folds, seed=seed))
            for member, fold in enumerate(folds):
                held_out.append((number, fold.val))
                task = FoldTask(member, recipe, fold, member_seed(seed, member))
                rows = training_rows(task, dataset.train, dataset.test)
                trainer = make_trainer(recipe, *rows, task.seed)
                assert isinstance(trainer, KerasTrainer)
                epochs.append(Epoch(trainer, 0, lambda *progress: None))
        together = Together(epochs)
        for number in range(recipe.epochs):
            together.train([replace(epoch, number=number) for epoch in epochs])
    probabilities = np.zeros((len(seeds), len(dataset.labels), CLASSES), np.float16)
    errors = np.zeros((len(seeds), len(pictures)))
    for (number, val), epoch in zip(held_out, epochs, strict=True):
        assert isinstance(epoch.trainer, KerasTrainer)
        epoch.trainer.finish()
        classifier = epoch.trainer.classifier
        images = dataset.train.images[val]
        probabilities[number, val] = predict_views(classifier, images, recipe)
        for kind, (images, own) in enumerate(pictures.values()):
            read = predict_views(classifier, images, recipe).argmax(axis=1)
            errors[number, kind] += (read != own).sum() / setting.folds
    return Predictions(np.array(seeds), probabilities, errors)


def kept_file(folder: Path, name: str) -> Path:
    """Return the file of the predictions of the setting ``name``."""
    return folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".npz")


def read_kept(folder: Path | None, name: str) -> Predictions | None:
    """Return what an earlier call kept of a setting; None if it kept nothing."""
    if folder is None or not kept_file(folder, name).exists():
        return None
    with np.load(kept_file(folder, name)) as arrays:
        return Predictions(**arrays)


def row(name: str, rows: str, errors: dict[int, float], reference: dict[int, float]) -> str:
    """Return a row: mean errors, mean paired difference with its t-interval, and the t-test's p."""
    shared = sorted(errors.keys() & reference.keys())
    mean = f"{np.mean([errors[seed] for seed in shared]):.1f}" if shared else "–"
    difference = np.array([errors[seed] - reference[seed] for seed in shared])
    if len(shared) < 2 or not difference.any():
        return f"| {name} | {rows} | {mean} | – | – | {len(shared)} |"
    test = stats.ttest_1samp(difference, 0)
    low, high = test.confidence_interval()
    return (
        f"| {name} | {rows} | {mean} | {difference.mean():+.1f} ({low:+.1f} to {high:+.1f}) | "
        f"{test.pvalue:.3f} | {len(shared)} |"
    )


def ensembles(options: argparse.Namespace) -> None:
    """Print the errors of averages over seeds, against those of the published network."""
    dataset = load(options.data)
    labels = dataset.labels
    kept = {name: found for name in SETTINGS if (found := read_kept(options.keep, name))}
    print("| average over the seeds of | seeds | errors | better, worse than published | p |")
    print("| --- | --- | --- | --- | --- |")
    sets = [[name] for name in kept] + [list(MIXED)] * (kept.keys() >= MIXED)
    published = kept.get(PUBLISHED)
    for names in sets:
        for seeds in AVERAGED:
            some = [kept[name].probabilities[:seeds] for name in names]
            if min(map(len, some)) < seeds:
                continue
            classes = averaged(some)
            line = f"| {' + '.join(names)} | {seeds} | {(classes != labels).sum()} |"
            if published:
                test = mcnemar(averaged([published.probabilities]) == labels, classes == labels)
                line += f" {test.gained}, {test.lost} | {test.p_value:.3f} |"
            print(line)
    wrong = [found.probabilities.argmax(axis=2) != labels for found in kept.values()]
    missed = np.flatnonzero(np.concatenate(wrong).all(axis=0))
    print(f"\n{len(missed)} rows are missed by all {sum(map(len, wrong))} networks of the table")
    if options.figure:
        means = [found.probabilities.mean(axis=0, dtype=np.float32) for found in kept.values()]
        draw_missed(dataset, missed, np.mean(means, axis=0)[missed], options.figure)


def draw_missed(
    dataset: Dataset, missed: NDArray[np.int64], probabilities: NDArray[np.float32], path: Path
) -> None:
    """Draw the ``missed`` rows, those predicted with the most confidence first."""
    order = np.argsort(-probabilities.max(axis=1))
    captions = []
    for row, each in zip(missed[order], probabilities[order], strict=True):
        label, read = dataset.labels[row], each.argmax()
        line = dataset.train.row_lines[row]
        captions.append(f"{label}→{read} {each[read]:.0%}\n{line}")
    title = "Missed by every network: label→prediction, probability, line"
    style.save(digit_grid(dataset.train.images[missed[order]], captions, title), path)


if __name__ == "__main__":
    main()
