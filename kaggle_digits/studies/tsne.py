"""A9: t-SNE of the 784 pixels to two dimensions, with a figure for how far it can be trusted."""

from __future__ import annotations

import numpy as np

from kaggle_digits.plots import charts
from kaggle_digits.studies.study import Finding, Panel, Result, Setting, Study

# 5,000 show the islands in half a minute; --rows places more.
ROWS, QUICK_ROWS, COMPONENTS, NEIGHBOURS = 5000, 500, 50, 5


def _run(setting: Setting) -> Result:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness

    train, labels = setting.dataset.train, setting.dataset.labels
    most = setting.rows or (QUICK_ROWS if setting.quick else ROWS)
    rows = np.sort(np.random.default_rng(setting.seed).permutation(len(train))[:most])
    pixels = train.images[rows].reshape(len(rows), -1).astype(np.float32) / 255
    setting.say(f"A9: {COMPONENTS} principal components of {len(rows):,} images")
    reduced = PCA(min(COMPONENTS, len(rows)), random_state=setting.seed).fit_transform(pixels)
    setting.say(f"A9: t-SNE of {len(rows):,} images")
    points = TSNE(random_state=setting.seed, init="pca").fit_transform(reduced)
    setting.say("A9: how far it can be trusted")
    trust = float(trustworthiness(pixels, points, n_neighbors=NEIGHBOURS))
    yield Finding(
        "A9",
        f"t-SNE of {len(rows):,} random images after PCA to {COMPONENTS}",
        "–",
        f"picture: t-sne; trustworthiness {trust:.4f}",
        len(rows),
        why=f"trustworthiness: are the {NEIGHBOURS} nearest in the picture near among the pixels "
        "too? 1 is always, 0.5 is by chance (Venna and Kaski 2001)",
    )
    yield Panel(
        "t-sne",
        "Images that look alike lie side by side",
        "t-SNE knows no label: it only keeps neighbours together. That the colours form islands "
        "says that digits differ more than hands do. Distances between islands mean nothing.",
        charts.embedding(
            points,
            labels[rows],
            "t-SNE of the pixels",
            f"{len(rows):,} random images of train.csv; coloured by label afterwards.",
        ),
    )


STUDY = Study(
    "neighbours",
    "t-SNE: images that look alike",
    "A. Beyond the recognition of handwritten digits",
    ("A9",),
    _run,
    cost=20,
    options=("rows",),
)
