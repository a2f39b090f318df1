"""What kd train says of the run it finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console
from kaggle_digits.core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kaggle_digits.runs.run import Run


def show_training(run: Run, submission: Path, *, as_json: bool) -> None:
    """A finished run's figures and what to type next; or all as one JSON object.

    Raises:
        RunError: members of it failed, so that the figures are of the others.
    """
    metrics, config = run.metrics(), run.config()
    _show(run, submission, metrics, config, as_json=as_json)
    failed = metrics.get("failed", [])
    if failed:
        first = failed[0]
        which = ", ".join(str(failure["member"] + 1) for failure in failed)
        raise RunError(
            f"member{'s' * (len(failed) > 1)} {which} of run {run.name} failed, the last time "
            f"because {first['reason']}; the figures are of the other "
            f"{config['members'] - len(failed)}; try again: kd train --resume --name {run.name}"
        )


def _show(
    run: Run,
    submission: Path,
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    if as_json:
        console.print_json(
            {"run": run.name, "folder": str(run.path), "submission": str(submission), **metrics}
        )
        return
    accuracy = metrics["val_accuracy"]
    if accuracy is None:
        console.say(f"{run.name}: trained on every labelled row; nothing was held out to measure")
    else:
        what = "out-of-fold" if config["split"]["kind"] == "folds" else "validation"
        console.say(
            f"{run.name}: {console.percent(accuracy, metrics['val_accuracy_ci95'])} right on "
            f"{metrics['n_val']} {what} rows (95 % interval), log loss {metrics['val_loss']:.4f}, "
            f"seed {config['seed']}, {metrics['train_seconds']:.0f} s on "
            f"{config['machine']['cores']} cores"
        )
        _show_designs(metrics.get("designs", []))
        if "chosen on the same rows" in metrics["epoch_choice"]:
            console.note(f"epoch kept: {metrics['epoch_choice']}")
        _warn_of_pseudo_labels(config.get("pseudo"))
    console.say(f"{submission}: written and checked")
    if config["data"]["source"] == "kaggle":
        console.note(f"next: kd evaluate {run.name} · kd submit")
    else:
        console.note(
            f"next: kd evaluate {run.name} · to compete, train on Kaggle's own files: kd fetch"
        )


def _show_designs(designs: Sequence[Mapping[str, Any]]) -> None:
    """What each design of a committee is worth alone, and to the others."""
    for design in designs:
        adds = design["adds"]
        console.say(
            f"  {design['model']}: {100 * design['val_accuracy']:.2f} % alone, weight "
            f"{design['weight']:.2f}; adds {console.signed(adds['right'], 'd')} rows right, "
            f"{console.signed(adds['log_loss'], '.4f')} log loss"
        )


def _warn_of_pseudo_labels(pseudo: Mapping[str, Any] | None) -> None:
    if pseudo and not pseudo["held_out_apart"]:
        console.note(
            f"run {pseudo['run']} held out other rows, so its pseudo-labels know labels of the "
            "validation rows: the accuracy is a little too high; train both with the same "
            "--folds and --seed"
        )
