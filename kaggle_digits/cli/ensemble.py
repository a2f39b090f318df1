"""What kd ensemble says of the runs, or files, that it put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from kaggle_digits.ensembling.ensemble import Ensemble
    from kaggle_digits.runs.run import Run


def show_ensemble(
    runs: Sequence[Run], combined: Ensemble, method: str, path: Path, *, as_json: bool
) -> None:
    """Each run's figures and what it adds, then the ensemble's; or the same as one JSON object."""
    if as_json:
        console.print_json(_as_json(runs, combined, method, path))
        return
    console.show(_table(runs, combined, method))
    if combined.temperatures is not None:
        console.note("T: temperature learnt out of fold; above 1 where a run was surer than right")
    if combined.weights_help is False:
        console.note(
            "learnt weights do not lower the log loss out of fold: all runs weigh the same"
        )
    if combined.score is None:
        console.note("no row was held out by all of these runs, so nothing can be measured")
    else:
        console.note("adds: this ensemble less the one without that run; more right, less log loss")
        if method != "vote":
            console.note(
                "the ensemble's figures are cross-validated: no row is judged by its own fit"
            )
    console.say(f"{path}: written and checked")


def _as_json(runs: Sequence[Run], combined: Ensemble, method: str, path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    adds, temperatures, weights = combined.adds, combined.temperatures, combined.weights
    return {
        "submission": str(path),
        "method": method,
        "members": [
            {
                "run": run.name,
                "temperature": temperatures[place] if temperatures else None,
                "weight": weights[place] if weights else None,
                "adds": asdict(adds[place]) if adds else None,
                **(asdict(score) if score else {}),
            }
            for place, (run, score) in enumerate(zip(runs, combined.member_scores, strict=True))
        ],
        "weights_help": combined.weights_help,
        "ensemble": asdict(combined.score) if combined.score else None,
    }


def _table(runs: Sequence[Run], combined: Ensemble, method: str) -> Table:
    """A row a run, with the columns that the method has; the ensemble last."""
    from rich.table import Table

    table = Table()
    table.add_column("")
    for column in ("accuracy\n(95 % interval)", "rows", "log\nloss"):
        table.add_column(column, justify="right")
    own: list[list[str]] = [[] for _ in runs]
    if combined.temperatures is not None:
        table.add_column("T", justify="right")
        for cells, warmth in zip(own, combined.temperatures, strict=True):
            cells.append(f"{warmth:.2f}")
    if combined.weights is not None:
        table.add_column("weight", justify="right")
        for cells, weight in zip(own, combined.weights, strict=True):
            cells.append(f"{weight:.3f}")
    if combined.adds is not None:
        table.add_column("adds\nright", justify="right")
        table.add_column("adds\nlog loss", justify="right")
        for cells, gain in zip(own, combined.adds, strict=True):
            cells += [console.signed(gain.right, ".0f"), console.signed(gain.log_loss, ".4f")]
    names = [*(run.name for run in runs), f"ensemble ({method})"]
    scores = [*combined.member_scores, combined.score]
    for name, score, cells in zip(names, scores, [*own, []], strict=True):
        table.add_row(
            console.cell(name),
            console.percent(score.accuracy, score.ci95) if score else "–",
            f"{score.n:,}" if score else "0",
            f"{score.log_loss:.4f}" if score else "–",
            *cells,
        )
    return table


def show_vote(scores: dict[Path, float | None], path: Path, *, as_json: bool) -> None:
    """The files in the order that decided ties, each with its public score or None."""
    if as_json:
        members = [{"file": str(f), "public_score": score} for f, score in scores.items()]
        console.print_json({"submission": str(path), "method": "vote", "members": members})
        return
    for file, score in scores.items():
        console.say(f"{file}: public score {'unknown' if score is None else f'{score:.5f}'}")
    console.say(f"{path}: majority of {len(scores)} files, ties to the first above; checked")
