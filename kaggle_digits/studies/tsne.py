"""A9: t-SNE of the 784 pixels in two dimensions, and its trustworthiness."""

from __future__ import annotations

import numpy as np

from kaggle_digits.plots import charts
from kaggle_digits.studies.study import Context, StudyOutput

# 5,000 rows show the clusters in half a minute; --rows embeds more.
ROWS, QUICK_ROWS, COMPONENTS, NEIGHBORS = 5000, 500, 50, 5


def run(context: Context, output: StudyOutput) -> None:
    """Embed random training images and draw them in the colours of their labels."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness

    train, labels = context.dataset.train, context.dataset.labels
    n_rows = context.rows or (QUICK_ROWS if context.quick else ROWS)
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
        f"figure: t-sne; trustworthiness {trust:.4f}",
        f"trustworthiness (Venna and Kaski 2001): whether the {NEIGHBORS} nearest neighbours "
        "in the figure are also near in pixel space; 1 means always, 0.5 is chance",
        n=len(rows),
    )
    note = f"{len(rows):,} random images of train.csv, coloured by label."
    output.add_figure(
        "t-sne",
        "Similar images are close together",
        "t-SNE does not use the labels; distances between clusters have no meaning.",
        charts.embedding(points, labels[rows], "t-SNE of the pixels", note),
    )
