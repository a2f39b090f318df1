"""Compare runs: on the rows that all held out, or all runs on one page, also of other splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.atomic_io import write_text
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.data.splits import describe_split
from kaggle_digits.evaluation.evaluate import load_oof
from kaggle_digits.metrics import scores
from kaggle_digits.metrics.scores import McNemarResult, Score, mcnemar, shared_rows
from kaggle_digits.plots import page
from kaggle_digits.runs.run import Run


@dataclass(frozen=True)
class ComparedRun:
    """The score of one run on the rows that all runs held out, compared with the best run.

    In McNemar's test ``against_best``, ``gained`` counts rows that only the best predicts
    correctly, ``lost`` rows that only this run does. It is None for the best itself. ``leak`` is
    that of the run (``Run.leak``): its score is not that of unseen rows, so it is never the best
    unless all have one.
    """

    run: str
    score: Score
    against_best: McNemarResult | None
    leak: str | None = None


def compare_runs(
    oofs: Mapping[str, Probabilities],
    labels: Labels,
    leaks: Mapping[str, str | None] | None = None,
    splits: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[ComparedRun]:
    """Score runs on the rows that all held out: highest accuracy, then lowest log loss first.

    ``oofs`` are run → (n_train, 10) out-of-fold probabilities, NaN for rows not held out;
    ``leaks`` are run → Run.leak(), of every run, and ``splits`` run → its settings, for messages.
    Runs with a leak come last. Raises UsageError for fewer than two runs; RunError if too few rows
    were held out by all (see ``shared_rows``) or a row is neither NaN nor probabilities.
    """
    if len(oofs) < 2:
        raise UsageError("a comparison needs at least two runs: `kd.compare(RUN, RUN)`")
    leaks = leaks or dict.fromkeys(oofs)
    rows = shared_rows(oofs, splits or {})
    truth = labels[rows]
    measured = {run: scores.score_or_raise(oof[rows], truth) for run, oof in oofs.items()}
    correct = {run: oof[rows].argmax(axis=1) == truth for run, oof in oofs.items()}
    ranks = {run: (bool(leaks[run]), -s.accuracy, s.log_loss) for run, s in measured.items()}
    order = sorted(ranks, key=ranks.__getitem__)
    best = order[0]
    tests = {run: mcnemar(correct[run], correct[best]) for run in order[1:]}
    return [ComparedRun(run, measured[run], tests.get(run), leaks[run]) for run in order]


def conclusions(compared: Sequence[ComparedRun]) -> list[str]:
    """Write a sentence for each run but the best: is the best better by more than chance?"""
    clean = [item for item in compared if not item.leak]
    leaked = (f"{item.run} is not compared: {item.leak}" for item in compared if item.leak)
    sentences = [f"{text}, so its accuracy is not that of unseen rows" for text in leaked]
    for other in clean[1:]:
        best, test = clean[0], other.against_best
        assert test is not None
        rows = (
            f"{test.gained:,} row{'s' * (test.gained != 1)} only {best.run} predicts correctly, "
            f"{test.lost:,} only {other.run}"
        )
        p = f"p {test.p_text}"
        if test.gained == test.lost:
            sentence = f"{other.run} and {best.run} have the same accuracy: {rows}"
        elif test.significant:
            sentence = f"{best.run} is significantly better than {other.run}: {rows} ({p})"
        else:
            lead = f"{best.run} is ahead of {other.run}, but this may be chance"
            sentence = f"{lead}: {rows} ({p}; below 0.05 would be significant)"
        sentences.append(sentence)
    if len(clean) > 2:
        sentences.append(
            f"the best of {len(clean)} was chosen on the rows it is evaluated on, so its "
            "accuracy is slightly optimistic"
        )
    return sentences


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
            known["score"] = scores.score(oofs[run.name], dataset.labels)
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
    shown = [replace(each, problem=to_command_line(each.problem)) for each in overviews]
    write_text(path, page.render_page("overview.html.j2", overviews=shown), durable=False)


def _rank(overview: RunOverview) -> tuple[Any, ...]:
    measured = overview.score or Score(0, (0, 0), 0, 0)
    return bool(overview.leak), overview.score is None, -measured.ci95[0], measured.log_loss
