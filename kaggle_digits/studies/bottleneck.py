"""A10 and A11: a classifier through two numbers, and the plane that they span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.inference.embedding import POINTS_FILE, dump_points
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier
from kaggle_digits.models.batched_predict import trace
from kaggle_digits.models.litert import LITERT_FILE, convert
from kaggle_digits.plots import charts, style
from kaggle_digits.studies.fit_helpers import fit, loaded, random_part
from kaggle_digits.studies.study import (
    Kept,
    Panel,
    Result,
    Setting,
    Study,
    share_finding,
    simple_score,
)
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HELD_OUT = 1 / 6
PUBLISHED = 0.96
TWO, DECODER = "two_numbers", "decoder"
RECIPE = Recipe("kaggle_digits.studies.bottleneck:network", epochs=25, learning_rate=2e-3)
MOMENTUM = 0.9  # 0.99 settles too slowly for a few hundred steps
# Points a side of the grid that is walked through the plane.
GRID = 60
SHOWN = 1500  # points that the page of `kd app` draws


def network() -> Any:
    """500-100-2-100-10: all that is known of an image passes through two numbers."""
    k = keras()

    def hidden(units: int) -> list[Any]:
        return [
            k.layers.Dense(units, activation="relu"),
            k.layers.BatchNormalization(momentum=MOMENTUM),
        ]

    encoder = k.Sequential([k.layers.Flatten(), *hidden(500), *hidden(100)], name="encoder")
    decoder = k.Sequential([*hidden(100), k.layers.Dense(CLASSES)], name=DECODER)
    # Normalised, so that the plane has a scale and no image lies far out.
    two = k.Sequential(
        [
            k.layers.Dense(2),
            k.layers.BatchNormalization(momentum=MOMENTUM, center=False, scale=False),
        ],
        name=TWO,
    )
    return k.Sequential([encoder, two, decoder])


def _run(setting: Setting) -> Result:
    train, labels = setting.dataset.train, setting.dataset.labels
    part = random_part(labels, HELD_OUT, setting.seed, stratify=True)
    member, found = fit(setting, "A10, a bottleneck of two numbers", RECIPE, part)
    why = "fewer epochs: --quick" if setting.quick else f"{RECIPE.epochs} epochs"
    yield share_finding("A10", "500-100-2-100-10", PUBLISHED, found, said="over 96 %", why=why)
    encoder, decode = _halves(member)
    setting.say("A11: storing each held-out image as two numbers")
    points = encoder.predict(train.images[part.val], batch_size=500, verbose=0)
    truth = labels[part.val]
    kept = points.astype(np.float16)  # what is stored of an image: four bytes
    read = decode(kept.astype(np.float32)).argmax(axis=1)
    score = simple_score(int((read == truth).sum()), len(truth))
    yield share_finding(
        "A11",
        "each image stored as two numbers (4 bytes for 784), its label decoded from them",
        PUBLISHED,
        score,
        said="over 96 %",
        why=why,
    )
    # For `kd app`, which shows where a drawn digit falls.
    yield Kept(POINTS_FILE, dump_points(points[:SHOWN], truth[:SHOWN]))
    traced = trace(encoder)
    if traced is not None:
        yield Kept(LITERT_FILE, convert(traced))
    yield Panel(
        "plane",
        "Every held-out digit as a point",
        "The two numbers that the network keeps of each image, coloured by its label. Each digit "
        "has its own ray or island; points between two are the ones it confuses.",
        charts.embedding(
            points,
            truth,
            "Two numbers an image",
            f"{len(truth):,} held-out images; the axes are the bottleneck's two numbers.",
        ),
    )
    low, high = np.quantile(points, [0.002, 0.998], axis=0)
    across, down = (np.linspace(low[i], high[i], GRID, dtype=np.float32) for i in (0, 1))
    walked = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    answers = decode(walked).reshape(GRID, GRID, CLASSES)
    yield Panel(
        "walk",
        "A walk through the plane",
        "What the decoding half reads at each point of the same plane; paler where it is less "
        "sure. The borders are where one digit turns into another.",
        _walk(answers, (low[0], high[0], low[1], high[1])),
    )


def _halves(member: FoldResult) -> tuple[Any, Any]:
    """A network of images → (n, 2), and a function of (n, 2) → probabilities (n, 10)."""
    k = keras()
    classifier = loaded(member)
    assert isinstance(classifier, KerasClassifier)
    whole = classifier.network
    body = next(layer for layer in whole.layers if isinstance(layer, k.Sequential) and _has(layer))
    images, *before = whole.layers[: whole.layers.index(body)]
    values = images.output
    for layer in [*before, body.get_layer("encoder"), body.get_layer(TWO)]:
        values = layer(values)

    def decode(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(k.ops.convert_to_numpy(k.ops.softmax(body.get_layer(DECODER)(points))))

    return k.Model(images.output, values), decode


def _has(layer: Any) -> bool:
    return any(inner.name == TWO for inner in layer.layers)


@style.styled
def _walk(answers: NDArray[np.float32], extent: tuple[float, float, float, float]) -> Figure:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    figure = style.new_figure(
        8, 6.8, "What stands where in the plane", "Paler: less sure. Decoded on a grid of points."
    )
    axes = figure.subplots()
    colours = np.array([to_rgb(colour) for colour in style.DIGIT_COLORS])
    best = answers.argmax(axis=2)
    sureness = np.clip((answers.max(axis=2) - 0.1) / 0.9, 0, 1)[..., None]
    axes.imshow(1 - sureness * (1 - colours[best]), origin="lower", extent=extent, aspect="auto")
    axes.set(xlabel="first number", ylabel="second number")
    keys = [Patch(color=style.DIGIT_COLORS[digit], label=str(digit)) for digit in np.unique(best)]
    figure.legend(handles=keys, loc="outside right upper", title="digit")
    return figure


STUDY = Study(
    "bottleneck",
    "A digit kept as two numbers",
    "A. Beyond the recognition of handwritten digits",
    ("A10", "A11"),
    _run,
    cost=60,
)
