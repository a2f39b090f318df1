"""The models that the app has loaded: each once, used by one thread at a time."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.inference.classify import PicturePrediction, classify_picture
from kaggle_digits.inference.embedding import Embedding, load_embedding
from kaggle_digits.inference.predictor import Predictor, load_predictor


class _LockedPredictor:
    """A Predictor with a lock: a LiteRT interpreter is not safe for two threads."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self._lock = predictor, Lock()

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            return self._predictor.predict_proba(images)


class ModelCache:
    """Loads the finished runs of one folder when they are first used.

    Attributes:
        runs_dir: the folder of the runs.
        default_run: the name of the run that is used unless another is requested.
    """

    def __init__(self, runs_dir: Path, run: str | None = None) -> None:
        """Load ``run``, or the best finished run, as the default.

        Raises:
            RunError: there is no such run, or it is not finished.
            UsageError: ``run`` is not a valid name.
            ModelError: a model file is missing or damaged.
        """
        self.runs_dir = runs_dir
        predictor = load_predictor(runs_dir, run)
        self.default_run = predictor.run_name
        self._predictors = {self.default_run: _LockedPredictor(predictor)}
        self._load_lock = Lock()
        self._embedding: Embedding | None = None
        self._embedding_checked = False
        self._embedding_lock = Lock()

    def classify(self, picture: Image.Image, run: str) -> PicturePrediction:
        """Classify ``picture`` with ``run``.

        Raises:
            RunError, UsageError, ModelError: as for the default run.
        """
        if run not in self._predictors:
            # Two clients that choose the same run at once wait for a single load.
            with self._load_lock:
                if run not in self._predictors:
                    predictor = load_predictor(self.runs_dir, run)
                    self._predictors[run] = _LockedPredictor(predictor)
        return classify_picture(self._predictors[run], picture)

    def warm_up(self) -> None:
        """Classify a small picture, so that the first request is as fast as later ones."""
        picture = Image.new("L", (28, 28), 0)
        picture.paste(255, (12, 5, 16, 23))
        self.classify(picture, self.default_run)
        self.embedding()

    def embedding(self, *, retry: bool = False) -> Embedding | None:
        """Return the bottleneck study's embedding; ``retry`` looks again if it was missing."""
        with self._embedding_lock:
            if self._embedding is None and (retry or not self._embedding_checked):
                self._embedding = load_embedding(self.runs_dir)
                self._embedding_checked = True
            return self._embedding

    def embed(self, image: NDArray[np.uint8]) -> tuple[float, float] | None:
        """Return the position of a (28, 28) image in the embedding; None without an embedding."""
        embedding = self.embedding()
        if embedding is None:
            return None
        with self._embedding_lock:
            return embedding.transform(image)
