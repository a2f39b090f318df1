"""The models that the app has loaded, each once."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from PIL import Image

from kaggle_digits.inference.embedding import Embedding, load_embedding
from kaggle_digits.inference.predictor import PicturePrediction, classify_picture, load_predictor


class ModelCache:
    """The embedding of one folder of runs, and its finished runs, loaded when first used."""

    def __init__(self, runs_dir: Path, run: str | None = None) -> None:
        """Load ``run``, or the best finished run, as the default; raise as ``load_predictor``."""
        self.runs_dir = runs_dir
        predictor = load_predictor(runs_dir, run)
        self.default_run = predictor.run_name
        self._predictors = {self.default_run: predictor}
        self._lock = Lock()
        self.embedding = load_embedding(runs_dir)

    def classify(self, picture: Image.Image, run: str) -> PicturePrediction:
        """Classify ``picture`` with ``run``; raise as for the default run."""
        if run not in self._predictors:
            with self._lock:  # two clients that choose the same run at once cause a single load
                if run not in self._predictors:
                    self._predictors[run] = load_predictor(self.runs_dir, run)
        return classify_picture(self._predictors[run], picture)

    def warm_up(self) -> None:
        """Classify a small picture, so that the first request is as fast as later ones."""
        picture = Image.new("L", (28, 28), 0)
        picture.paste(255, (12, 5, 16, 23))
        self.classify(picture, self.default_run)

    def find_embedding(self) -> Embedding | None:
        """Return the embedding; if it was missing, look for it again."""
        self.embedding = self.embedding or load_embedding(self.runs_dir)
        return self.embedding
