"""What a run said of rows that it never learnt from."""

from __future__ import annotations

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import OOF_FILE, Probabilities, Run


def held_out(run: Run, dataset: Dataset) -> Probabilities:
    """The run's out-of-fold probabilities, after checking that they are of these rows."""
    config = run.config()
    trained_on = _section(config, "data").get("train_sha256")
    if trained_on != dataset.train.sha256:
        raise RunError(
            f"run {run.name} was trained on another train.csv (sha256 {str(trained_on)[:12]}…) "
            f"than the one in the data folder ({dataset.train.sha256[:12]}…); "
            "point --data-dir at the folder it was trained on"
        )
    nothing_held_out = RunError(
        f"run {run.name} was trained on every labelled row (--all-rows): nothing was held out to "
        "measure it on; train with --val-fraction or --folds and evaluate that run"
    )
    if _section(config, "split").get("kind") == "all":
        raise nothing_held_out
    probabilities = run.oof()
    if len(probabilities) != len(dataset.train):
        raise RunError(
            f"{run.path / OOF_FILE} has {len(probabilities)} rows where train.csv has "
            f"{len(dataset.train)}: damaged; delete it and run: kd train --resume --name {run.name}"
        )
    if not len(predicted_rows(probabilities)):
        raise nothing_held_out
    return probabilities


def _section(config: dict[str, object], name: str) -> dict[str, object]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
