"""Compare all runs, also those with different splits, on one page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import write_text
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import describe_split
from kaggle_digits.evaluation.evaluate import load_oof
from kaggle_digits.metrics.scores import McNemarResult, Score, mcnemar, score, shared_rows
from kaggle_digits.plots import page
from kaggle_digits.runs.files import Probabilities
from kaggle_digits.runs.run import Run


@dataclass(frozen=True)
class RunOverview:
    """The settings of a run and its score on its own validation rows.

    ``against_best`` and ``leak`` are as in ``ComparedRun``, the former on the rows that the best
    run held out, too. ``problem`` says why a run has no score or is not compared.
    """

    run: str
    model: str = ""
    split: str = ""
    device: str = ""
    seconds: float | None = None
    score: Score | None = None
    against_best: McNemarResult | None = None
    leak: str | None = None
    problem: str = ""


def compare_all(runs: Sequence[Run], dataset: Dataset) -> list[RunOverview]:
    """Describe every run and compare it with the best, which comes first.

    The best is that whose 95 % interval begins highest, because few rows make a high accuracy by
    chance. Runs without an accuracy, then those with a leak, come last. Raises RunError if no run
    has an accuracy on ``dataset``.
    """
    overviews, oofs, splits = [], dict[str, Probabilities](), dict[str, dict[str, Any]]()
    for run in runs:
        known: dict[str, Any] = {}
        try:
            config = run.config()
            machine, splits[run.name] = config["machine"], config["split"]
            known |= {"model": config["model"], "split": describe_split(config["split"])}
            known["device"] = machine.get("gpu") or machine.get("processor") or ""
            known["seconds"] = run.metrics()["train_seconds"]
            known |= {"leak": run.leak(), "problem": run.leak() or ""}
            oofs[run.name] = load_oof(run, dataset)
            known["score"] = score(oofs[run.name], dataset.labels)
        except RunError as error:
            known["problem"] = str(error)
        overviews.append(RunOverview(run.name, **known))
    overviews.sort(key=_rank)
    if not overviews or overviews[0].problem:
        advice = "train one: `kd.train(dataset, 'dense')`"
        raise RunError(f"no run has an accuracy on these data; {advice}")
    best = overviews[0].run
    for index, overview in enumerate(overviews[1:], 1):
        if overview.problem:
            continue
        pair = (best, overview.run)
        try:
            rows = shared_rows({run: oofs[run] for run in pair}, {run: splits[run] for run in pair})
        except RunError as error:
            overviews[index] = replace(overview, problem=str(error))
            continue
        of_best, own = (oofs[run][rows].argmax(axis=1) == dataset.labels[rows] for run in pair)
        overviews[index] = replace(overview, against_best=mcnemar(own, of_best))
    return overviews


def write_overview(path: Path, overviews: Sequence[RunOverview]) -> None:
    """Write the page about the result of ``compare_all``, one HTML file that opens offline."""
    write_text(path, page.render_page("overview.html.j2", overviews=overviews), durable=False)


def _rank(overview: RunOverview) -> tuple[Any, ...]:
    measured = overview.score or Score(0, (0, 0), 0, 0)
    return bool(overview.leak), overview.score is None, -measured.ci95[0], measured.log_loss
