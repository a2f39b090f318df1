"""A small data folder of scikit-learn's digits, and a run folder written without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from kaggle_digits.data.dataset import SAMPLE, TEST, TRAIN, Dataset
from kaggle_digits.data.digits import PIXEL_COLUMNS, TRAIN_COLUMNS
from kaggle_digits.runs import files
from kaggle_digits.runs import run as run_module
from kaggle_digits.runs.store import create_run

N_TRAIN, N_TEST, FOLDS = 300, 60, 3


def digits(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (count, 28, 28) uint8 images, enlarged from 8 × 8, and (count,) uint8 labels."""
    images, labels = load_digits(return_X_y=True)
    enlarged = np.kron(images[:count].reshape(-1, 8, 8) * 15, np.ones((3, 3)))
    return np.pad(enlarged, ((0, 0), (2, 2), (2, 2))).astype(np.uint8), labels[:count].astype(
        np.uint8
    )


def write_data(folder: Path) -> Path:
    """Write the three CSV files of the competition with few rows."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits(N_TRAIN + N_TEST)
    flat = images.reshape(len(images), -1)
    train = np.column_stack([labels, flat])[:N_TRAIN]
    _write(folder / TRAIN, TRAIN_COLUMNS, train)
    _write(folder / TEST, PIXEL_COLUMNS, flat[N_TRAIN:])
    ids = np.column_stack([np.arange(1, N_TEST + 1), np.zeros(N_TEST, int)])
    _write(folder / SAMPLE, ["ImageId", "Label"], ids)
    return folder


def linear_oof(dataset: Dataset) -> NDArray[np.float32]:
    """Return (n_train, 10) float32 out-of-fold probabilities of a linear model."""
    # One of the nine equal pixels of each of the original 8 × 8.
    pixels = dataset.train.images[:, 3:27:3, 3:27:3].reshape(len(dataset.train), -1) / 255
    oof = np.empty((len(pixels), 10), np.float32)
    for train, val in StratifiedKFold(FOLDS).split(pixels, dataset.labels):
        model = LogisticRegression(max_iter=50, C=0.09).fit(pixels[train], dataset.labels[train])
        oof[val] = model.predict_proba(pixels[val])
    return oof


def write_run(
    runs_dir: Path, dataset: Dataset, oof: NDArray[np.float32], name: str = "small", **config: Any
) -> run_module.Run:
    """Write a finished run folder; ``config`` overrides keys of config.json."""
    with create_run(runs_dir, name, "small") as run:
        _write_files(run, dataset, oof, config)
    return run


def _write_files(
    run: run_module.Run, dataset: Dataset, oof: NDArray[np.float32], config: dict[str, Any]
) -> None:
    run.write_config(
        {
            "name": run.name,
            "created": "2026-01-02T03:04:05+00:00",
            "kd_version": "0",
            "model": "linear",
            "recipe": {"normalize": "unit"},
            "split": {"kind": "folds", "folds": FOLDS, "repeats": 1, "seed": 0, "rows": None},
            "seed": 7,
            "members": FOLDS,
            "data": {
                "source": "sample",
                "train_sha256": dataset.train.sha256,
                "test_sha256": dataset.test.sha256,
                "n_train": len(dataset.train),
                "n_test": len(dataset.test),
            },
            "versions": {"python": "3.11"},
            "machine": {"processor": "abacus", "cores": 2, "memory_gb": 4},
            **config,
        }
    )
    rows = [
        f"{member},{epoch},{1 / epoch},{1 - 0.1 / epoch},{2 / epoch},{1 - 0.2 / epoch},,0.5"
        for member in range(FOLDS)
        for epoch in range(1, 4 + member)
    ]
    text = "\n".join([",".join(files.HISTORY_COLUMNS), *rows]) + "\n"
    (run.path / run_module.HISTORY_FILE).write_text(text, encoding="utf-8")
    files.write_probabilities(run.path / run_module.OOF_FILE, oof)
    files.write_probabilities(
        run.path / run_module.TEST_FILE, np.full((len(dataset.test), 10), 0.1, np.float32)
    )
    member = run.member_folder(0)
    member.mkdir(parents=True)
    np.save(member / "first_layer.npy", np.random.default_rng(0).normal(size=(5, 28, 28)))
    run.write_metrics({"train_seconds": 1.5, "epochs": [3, 4, 5], "epoch_choice": "the last one"})


def _write(path: Path, columns: list[str], rows: NDArray[Any]) -> None:
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=",".join(columns), comments="")
