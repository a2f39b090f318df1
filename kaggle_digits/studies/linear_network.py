"""B: a linear model against a neural network on 20,000 rows, and what their weights look like."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.classification import compute_metrics
from kaggle_digits.plots import charts, digit_grids, style
from kaggle_digits.studies.fit_helpers import fit, random_part
from kaggle_digits.studies.study import Finding, Panel, Result, Setting, Study, share_finding
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, HELD_OUT, SEARCH_OUT = 20_000, 0.2, 0.2
PUBLISHED = 0.95
PIXEL = 406  # row 14, column 14: the middle of the image
UNITS, STOPPED_AFTER = 24, (1, 5, 25)
DECAY = 5e-4
NETWORK = MODEL_RECIPES["dense"].with_changes(widths=(128,), epochs=15)
SEARCHED = tuple(product(((64,), (256,)), (1e-3, 4e-3), (0.0, 0.3)))


def _run(setting: Setting) -> Result:
    train, labels = setting.dataset.train, setting.dataset.labels
    rows = np.random.default_rng(setting.seed).permutation(len(train))[:ROWS]
    learnt, held = _parts(rows, labels[rows], HELD_OUT, setting.seed)
    part = FoldIndices(learnt, held)
    quick = "fewer epochs: --quick" if setting.quick else ""

    column = train.images.reshape(len(train), -1)[rows, PIXEL]
    inked = column[column > 0]
    yield Finding(
        "B1",
        f"one column: pixel{PIXEL}, in the middle of the image",
        "–",
        f"{len(inked):,} of {len(rows):,} rows have ink there; the first of these: "
        f"{', '.join(map(str, inked[:8]))}",
        len(rows),
    )
    yield Panel(
        "first-nine",
        "The first nine images",
        "784 numbers a row become a picture of 28 × 28.",
        digit_grids.first_digits(train.images[rows[:9]], labels[rows[:9]]),
    )

    linear, found = fit(setting, "B2, linear", MODEL_RECIPES["softmax"], part)
    yield share_finding("B2", "linear classifier (softmax)", None, found, why=quick)
    best, tried = _search(setting, learnt)
    network, found = fit(setting, "B3, the network", best, part)
    yield share_finding(
        "B3",
        f"one hidden layer, the best of {tried} settings on rows of the training part: "
        f"{_units(best)} units, rate {best.learning_rate:g}, dropout {best.dropout:g}",
        PUBLISHED,
        found,
        said="0.95 or more",
        why=quick,
    )
    without, bare = fit(setting, "B4, no dropout", best.with_changes(dropout=0.0), part)
    _, with_it = fit(setting, "B4, dropout", best.with_changes(dropout=0.3), part)
    yield share_finding(
        "B4",
        "dropout 0.3 instead of none",
        None,
        with_it,
        why=f"without dropout {100 * bare.accuracy:.2f} %, log loss {bare.log_loss:.4f}; with it "
        f"{with_it.log_loss:.4f}; training log loss without it "
        f"{without.history[-1].loss:.4f}. {quick}".strip(),
    )
    yield Panel(
        "losses",
        "Log loss while they learn",
        "Both on the same rows. The linear model is soon as good as it can get; the network goes "
        "on. Where its two lines part, it learns its rows by heart.",
        _losses({"linear": linear, "network": network}),
    )
    truth = labels[held]
    for name, what, member in (
        ("linear-confusion", "linear", linear),
        ("network-confusion", "neural network", network),
    ):
        yield Panel(
            name,
            f"What is taken for what: {what}",
            "Each row is a digit as it was written, each column what was read; orange squares are "
            "mistakes.",
            charts.confusion_matrix(compute_metrics(member.val_probabilities, truth).confusion),
        )
    yield from _weights(setting, part)


def _search(setting: Setting, learnt: np.ndarray) -> tuple[Recipe, int]:
    """The best of a small grid, on rows of the training part alone; how many were tried."""
    labels = setting.dataset.labels[learnt]
    inner = FoldIndices(*_parts(learnt, labels, SEARCH_OUT, setting.seed))
    trials: list[tuple[float, float, int, Recipe]] = []
    for widths, rate, dropout in SEARCHED[:2] if setting.quick else SEARCHED:
        recipe = NETWORK.with_changes(widths=widths, learning_rate=rate, dropout=dropout)
        _, found = fit(setting, f"B3, {_units(recipe)} units, rate {rate:g}", recipe, inner)
        trials.append((found.accuracy, -found.log_loss, len(trials), recipe))
    return max(trials)[-1], len(trials)


def _weights(setting: Setting, part: FoldIndices) -> Iterator[Finding | Panel]:
    stops = STOPPED_AFTER[::2] if setting.quick else STOPPED_AFTER
    said = ", ".join(map(str, stops))
    yield Finding(
        "B5",
        f"{UNITS} hidden units stopped after {said} epochs",
        "–",
        "pictures: " + ", ".join(f"weights-{epochs}" for epochs in stops),
    )
    recipe = NETWORK.with_changes(widths=(UNITS,), dropout=0.0, l2=DECAY, schedule="constant")
    for epochs in stops:
        member, found = fit(
            setting, f"B5, {epochs} epochs", recipe.with_changes(epochs=epochs), part
        )
        assert member.first_layer is not None
        done = len(member.history)
        title = f"What {UNITS} hidden units look for after {done} epoch{'s' * (done > 1)}"
        yield Panel(
            f"weights-{epochs}",
            title,
            f"784 weights a unit, drawn as 28 × 28. With these it reads "
            f"{100 * found.accuracy:.2f} % of the held-out rows rightly. Early on they are blots; "
            "later each picks out strokes that speak for it or against it. A pale unit has died: "
            "no image wakes it. Decay takes the weights where there is never ink.",
            digit_grids.first_layer_weights(member.first_layer, title),
        )


def _units(recipe: Recipe) -> int:
    assert recipe.widths
    return recipe.widths[0]


def _parts(
    rows: np.ndarray, labels: np.ndarray, held_out: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    part = random_part(labels, held_out, seed, stratify=True)
    return np.sort(rows[part.train]), np.sort(rows[part.val])


@style.styled
def _losses(members: dict[str, FoldResult]) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure = style.new_figure(
        8, 4.8, "Log loss over time", "Solid: training rows. Dashed: held-out rows."
    )
    axes = figure.subplots()
    for (name, member), colour in zip(
        members.items(), (style.VAL_COLOR, style.TRAIN_COLOR), strict=True
    ):
        epochs = [row.epoch for row in member.history]
        for values, line in (
            ([row.loss for row in member.history], "-"),
            ([row.val_loss for row in member.history], "--"),
        ):
            label = name if line == "-" else None
            axes.plot(epochs, values, line, color=colour, linewidth=1.8, label=label)
    axes.set(xlabel="epoch", ylabel="log loss (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    axes.legend()
    return figure


STUDY = Study(
    "linear-network",
    "A linear model against a neural network",
    "B. Handwritten digit recognition app: linear model against neural network",
    ("B1", "B2", "B3", "B4", "B5"),
    _run,
    cost=105,
)
