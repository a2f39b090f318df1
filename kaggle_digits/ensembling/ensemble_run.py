"""The run folder of an ensemble: an ordinary run whose members are those of the runs it combines.

It has copies of these runs in its folder ``runs``, as hard links where the file system has them, so
it works without the originals and when these are trained again.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits._version import __version__
from kaggle_digits.core.atomic_io import link_or_copy, wrap_os_errors
from kaggle_digits.core.environment import git_commit, versions
from kaggle_digits.data.dataset import UNKNOWN, Dataset
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.data.splits import MIXED, describe_split
from kaggle_digits.data.submission_csv import labels_sha256
from kaggle_digits.ensembling.ensemble import Ensemble, score_metrics
from kaggle_digits.runs import files
from kaggle_digits.runs.run import BASE_RUNS, CONFIG_FILE, Run
from kaggle_digits.runs.store import create_run

STACK_FILE, UNFINISHED = "stack.npy", ".unfinished"
# Files of a run that its predictions do not depend on, and the lock.
NOT_COPIED = (".*", "figures", "events", "report.html", "label-errors.*")
# Method → what the held-out rows decided.
CHOICES = {
    "mean": "temperatures were fitted on the held-out rows",
    "weighted": "temperatures and weights were fitted on the held-out rows, and whether weights "
    "are used was chosen on them",
    "stack": "the stack was fitted on the held-out rows",
}
CROSS_VALIDATED = " (the accuracy is cross-validated: no row is measured with a fit that used it)"


def save_ensemble(
    ensemble: Ensemble,
    runs: Sequence[Run],
    dataset: Dataset,
    method: str,
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    force: bool = False,
    is_taken: Callable[[str], bool] = lambda name: False,
) -> Run:
    """Write ``ensemble``, which ``ensemble_runs`` made of ``runs`` by ``method``, as a run.

    ``name`` None uses ensemble-1, -2, …; ``force`` and ``is_taken`` are as in ``create_run``.
    Raises RunError if the name is taken, StorageError if the folder cannot be written.
    """
    config, metrics = _config(ensemble, runs, method), _metrics(ensemble, runs, dataset, method)
    with create_run(Path(runs_dir), name, "ensemble", force=force, is_taken=is_taken) as run:
        # Written hidden, so that what a killed process leaves is an empty folder, which is reused.
        unfinished = Run(run.path / UNFINISHED)
        shutil.rmtree(unfinished.path, ignore_errors=True)
        try:
            with wrap_os_errors(run.path):
                for one in runs:
                    shutil.copytree(
                        one.path,
                        unfinished.path / BASE_RUNS / one.name,
                        ignore=shutil.ignore_patterns(*NOT_COPIED),
                        copy_function=link_or_copy,
                    )
            unfinished.write_predictions(ensemble.oof, ensemble.test)
            if ensemble.stack is not None:
                files.write_array(unfinished.path / STACK_FILE, ensemble.stack)
            unfinished.write_metrics(metrics)
            unfinished.write_config({"name": run.name, **config})
            with wrap_os_errors(run.path):  # config.json last: before it, this is no run
                for path in sorted(unfinished.path.iterdir(), key=lambda p: p.name == CONFIG_FILE):
                    path.rename(run.path / path.name)
        finally:
            shutil.rmtree(unfinished.path, ignore_errors=True)
    return run


def read_stack(run: Run) -> NDArray[np.float64]:
    """Read the (10 · runs + 1, 10) coefficients of a stack; RunError if they are damaged."""
    path, rows = run.path / STACK_FILE, CLASSES * len(run.base_runs()) + 1
    with files.explain_damage(path, f"make the ensemble again: {run.repair_command()}"):
        return files.read_array(path, np.float64, (rows, CLASSES))


def _config(ensemble: Ensemble, runs: Sequence[Run], method: str) -> dict[str, Any]:
    configs = [run.config() for run in runs]

    def common(key: str) -> Any:
        """Return the value that all runs have; None if they differ."""
        first, *others = (config.get(key) for config in configs)
        return first if all(other == first for other in others) else None

    source = common_source(config["data"].get("source") for config in configs)
    extra_rows = sum(run.extra_rows() for run in runs)
    return {
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "kd_version": __version__,
        "model": f"{method} of {len(runs)} runs",
        "recipe": {},
        "ensemble": {
            "method": method,
            "runs": [{"run": run.name, "sha256": run.sha256()} for run in runs],
        },
        "split": _common_split([config["split"] for config in configs]),
        "split_fingerprint": common("split_fingerprint"),
        "val_rows_also_trained_on": max(
            config.get("val_rows_also_trained_on") or 0 for config in configs
        ),
        "seed": common("seed"),
        "members": sum(config["members"] for config in configs),
        "data": configs[0]["data"] | {"source": source},
        "versions": versions(),
        "machine": common("machine") or {},
        "git_commit": git_commit(),
        **({"leak": ensemble.leak} if ensemble.leak else {}),
        **({"extra": {"rows": extra_rows}} if extra_rows else {}),
    }


def common_source(sources: Iterable[str | None]) -> str:
    """Return the data source if all are the same, else ``unknown``."""
    different = set(sources)
    return (different.pop() if len(different) == 1 else None) or UNKNOWN


def _common_split(splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the settings that splits of one kind share; "all" if a run held no rows out."""
    first, *others = splits
    if any(split.get("kind") == "all" for split in splits):
        return {"kind": "all"}
    if len({describe_split({**split, "repeats": 1}) for split in splits}) > 1:
        return {"kind": MIXED}
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _metrics(
    ensemble: Ensemble, runs: Sequence[Run], dataset: Dataset, method: str
) -> dict[str, Any]:
    metrics = [run.metrics() for run in runs]
    designs = ensemble.designs([run.name for run in runs])
    return {
        **score_metrics(ensemble.oof, dataset.labels),
        "models_per_row": sum(one.get("models_per_row") or 1 for one in metrics),
        "member_val_accuracies": [design["val_accuracy"] for design in designs],
        # A stack has no weights: its coefficients are in stack.npy.
        "designs": None if method == "stack" else designs,
        "weights_help": ensemble.weights_help,
        "epoch_choice": _choices(ensemble, runs, method),
        "train_seconds": sum(one["train_seconds"] or 0 for one in metrics),
        "submission_sha256": labels_sha256(ensemble.test.argmax(axis=1).astype(np.uint8)),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _choices(ensemble: Ensemble, runs: Sequence[Run], method: str) -> str:
    """Say what was chosen or fitted on the validation rows, for the ensemble and for its runs."""
    texts = [f"{run.name}: {run.metrics()['epoch_choice']}" for run in runs]
    if ensemble.score and method != "vote":
        texts.insert(0, CHOICES[method] + CROSS_VALIDATED)
    return "; ".join(texts)
