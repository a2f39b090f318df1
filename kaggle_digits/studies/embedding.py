"""A9 to A11: images as points of a plane, by t-SNE and by a bottleneck of two units."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.inference.embedding import POINTS_FILE, dump_points
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import trace
from kaggle_digits.models.formats import LITERT_FILE, convert
from kaggle_digits.plots import charts, style
from kaggle_digits.studies import study
from kaggle_digits.studies.study import Context, Published, StudyOutput
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# 5,000 rows show the clusters in half a minute; --rows embeds more.
TSNE_ROWS, QUICK_TSNE_ROWS, COMPONENTS, NEIGHBORS = 5000, 500, 50, 5

VAL_FRACTION = 1 / 6
PUBLISHED = Published(0.96, "over 96 %")
ENCODER, BOTTLENECK, DECODER = "encoder", "two_numbers", "decoder"  # layers of the network
RECIPE = Recipe("kaggle_digits.studies.embedding:bottleneck_network", epochs=25, learning_rate=2e-3)
MOMENTUM = 0.9  # the default of 0.99 adapts too slowly for a few hundred steps
GRID_SIZE = 60  # points per axis at which the decoder is evaluated
SAVED_POINTS = 1500  # for the page of `kd app`


def run_tsne(context: Context, output: StudyOutput) -> None:
    """Embed random training images and draw them in the colours of their labels."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness

    train, labels = context.dataset.train, context.dataset.labels
    n_rows = context.rows or (QUICK_TSNE_ROWS if context.quick else TSNE_ROWS)
    rows = np.sort(np.random.default_rng(context.seed).permutation(len(train))[:n_rows])
    pixels = train.images[rows].reshape(len(rows), -1).astype(np.float32) / 255
    context.progress(f"A9: {COMPONENTS} principal components of {len(rows):,} images")
    reduced = PCA(min(COMPONENTS, len(rows)), random_state=context.seed).fit_transform(pixels)
    context.progress(f"A9: t-SNE of {len(rows):,} images")
    points = TSNE(random_state=context.seed, init="pca").fit_transform(reduced)
    context.progress("A9: trustworthiness")
    trust = float(trustworthiness(pixels, points, n_neighbors=NEIGHBORS))
    output.add_result(
        "A9",
        f"t-SNE of {len(rows):,} random images after PCA to {COMPONENTS} components",
        f"trustworthiness {trust:.4f}",
        f"trustworthiness (Venna and Kaski 2001): whether the {NEIGHBORS} nearest neighbours "
        "in the figure are also near in pixel space; 1 means always, 0.5 is chance",
        n=len(rows),
        figures=["t-sne"],
    )
    note = f"{len(rows):,} random images of train.csv, coloured by label."
    output.add_figure(
        "t-sne",
        "Similar images are close together",
        "t-SNE does not use the labels; distances between clusters have no meaning.",
        charts.embedding(points, labels[rows], "t-SNE of the pixels", note),
    )


def bottleneck_network() -> Any:
    """Build a 500-100-2-100-10 network: only two numbers per image reach the decoder."""
    k = keras()

    def hidden(units: int) -> list[Any]:
        dense = k.layers.Dense(units, activation="relu")
        return [dense, k.layers.BatchNormalization(momentum=MOMENTUM)]

    encoder = k.Sequential([k.layers.Flatten(), *hidden(500), *hidden(100)], name=ENCODER)
    decoder = k.Sequential([*hidden(100), k.layers.Dense(CLASSES)], name=DECODER)
    # Normalized outputs have a known scale, and no image becomes an outlier.
    normalize = k.layers.BatchNormalization(momentum=MOMENTUM, center=False, scale=False)
    bottleneck = k.Sequential([k.layers.Dense(2), normalize], name=BOTTLENECK)
    return k.Sequential([encoder, bottleneck, decoder])


def run_bottleneck(context: Context, output: StudyOutput) -> None:
    """Train the network, encode the held-out images and decode points of the plane."""
    train, labels = context.dataset.train, context.dataset.labels
    fold = context.split(labels, VAL_FRACTION)
    result, score = context.fit_and_score("A10, bottleneck of two units", RECIPE, fold)
    note = context.differences or f"{RECIPE.epochs} epochs"
    output.add_accuracy("A10", "500-100-2-100-10", score, PUBLISHED, note)
    encoder, decode = _split_network(result)
    context.progress("A11: encoding the held-out images")
    points = encoder.predict(train.images[fold.val], batch_size=500, verbose=0)
    val_labels = labels[fold.val]
    stored = points.astype(np.float16)  # two numbers in four bytes
    decoded = decode(stored.astype(np.float32)).argmax(axis=1)
    what = "each image stored as two numbers (4 bytes instead of 784), its label decoded from them"
    output.add_accuracy("A11", what, study.score_labels(decoded, val_labels), PUBLISHED, note)
    # `kd app` shows the position of a drawn digit among these points.
    output.add_file(POINTS_FILE, dump_points(points[:SAVED_POINTS], val_labels[:SAVED_POINTS]))
    if (traced := trace(encoder)) is not None:
        output.add_file(LITERT_FILE, convert(traced))
    note = f"{len(val_labels):,} held-out images; the axes are the outputs of the bottleneck."
    output.add_figure(
        "plane",
        "Held-out digits in the plane of the bottleneck",
        "Each digit has its own region; points between two regions are easily confused.",
        charts.embedding(points, val_labels, "Two numbers per image", note),
    )
    low, high = np.quantile(points, [0.002, 0.998], axis=0)
    x, y = (np.linspace(low[i], high[i], GRID_SIZE, dtype=np.float32) for i in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    probabilities = decode(grid).reshape(GRID_SIZE, GRID_SIZE, CLASSES)
    output.add_figure(
        "walk",
        "Predictions across the plane",
        "The digit that the decoder predicts at each point; paler if its confidence is lower.",
        _decision_regions(probabilities, (low[0], high[0], low[1], high[1])),
    )


def _split_network(result: FoldResult) -> tuple[Any, Any]:
    """Return a model of images → (n, 2), and a function of (n, 2) → probabilities (n, 10)."""
    k = keras()
    images, normalize, body, _softmax = study.load_keras_model(result).network.layers
    points = body.get_layer(BOTTLENECK)(body.get_layer(ENCODER)(normalize(images.output)))

    def decode(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(k.ops.convert_to_numpy(k.ops.softmax(body.get_layer(DECODER)(points))))

    return k.Model(images.output, points), decode


@style.styled
def _decision_regions(
    probabilities: NDArray[np.float32], extent: tuple[float, float, float, float]
) -> "Figure":
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    note = "Paler: lower confidence. Evaluated on a grid of points."
    figure = style.new_figure(8, 6.8, "Decision regions", note)
    axes = figure.subplots()
    colors = np.array([to_rgb(color) for color in style.DIGIT_COLORS])
    digits = probabilities.argmax(axis=2)
    saturation = np.clip((probabilities.max(axis=2) - 0.1) / 0.9, 0, 1)[..., None]
    axes.imshow(1 - saturation * (1 - colors[digits]), origin="lower", extent=extent, aspect="auto")
    axes.set(xlabel="first number", ylabel="second number")
    keys = [Patch(color=style.DIGIT_COLORS[digit], label=str(digit)) for digit in np.unique(digits)]
    figure.legend(handles=keys, loc="outside right upper", title="digit")
    return figure
