"""kd evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg

if TYPE_CHECKING:
    from kaggle_digits.evaluation.comparison import TtaScore
    from kaggle_digits.evaluation.evaluate import Evaluation

MOST_PAIRS = 5


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of a finished run.")],
    *,
    tta: Annotated[
        int | None,
        typer.Option(
            "--tta",
            help="Predict the held-out rows again from 1, 5 or 9 views of each, and compare.",
            show_default=False,
        ),
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its held-out rows; draw figures and report.html into its folder."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.evaluate import evaluate as measure
    from kaggle_digits.plots import style
    from kaggle_digits.runs import store

    opened = store.open_run(runs_dir, run)
    again = None
    if tta is not None:
        from functools import partial

        from kaggle_digits.cli.progress import track_folders
        from kaggle_digits.models.tta import check_tta
        from kaggle_digits.training.predict import predict_oof

        check_tta(tta)
        again = partial(predict_oof, views=tta, each=track_folders("predicting"))
    with style.svg_copies(svg):
        found = measure(opened, load(data_dir), again)
    if as_json:
        console.print_json(_evaluation_as_json(found))
        return
    _show_evaluation(found)
    if found.tta:
        _show_views(found)
    console.echo(f"figures: {next(iter(found.figures.values())).parent}")
    console.echo(f"report:  {found.report}")
    console.note("open the report in a browser: every figure is explained there")


def _show_evaluation(found: Evaluation) -> None:
    from rich.table import Table

    metrics, score = found.metrics, found.metrics.score
    console.echo(
        f"{found.run}: accuracy {console.percent(score.accuracy, score.ci95)} "
        f"on {score.n:,} held-out rows, log loss {score.log_loss:.4f}, "
        f"calibration error {metrics.calibration.error:.4f}"
    )
    table = Table()
    for column in ("digit", "images", "right", "precision", "recall", "95 % interval", "F1"):
        table.add_column(column, justify="right")
    for item in metrics.classes:
        interval = f"{item.ci95[0]:.4f}–{item.ci95[1]:.4f}" if item.ci95 else "–"
        table.add_row(
            str(item.digit),
            f"{item.support:,}",
            f"{item.right:,}",
            _share(item.precision),
            _share(item.recall),
            interval,
            _share(item.f1),
        )
    console.print_table(table)
    if metrics.pairs:
        pairs = (f"{p.low} and {p.high} ({p.count})" for p in metrics.pairs[:MOST_PAIRS])
        console.echo(f"most confused: {', '.join(pairs)}")
    if found.most_confident_errors:
        worst = found.most_confident_errors[0]
        console.echo(
            f"worst mistake: {worst.label} read as {worst.predicted} with "
            f"{worst.confidence_text} confidence (line {worst.line} of train.csv)"
        )


def _show_views(found: Evaluation) -> None:
    from rich.table import Table

    from kaggle_digits.evaluation.comparison import best_tta

    table = Table(title="The same rows from fewer and more views", title_justify="left")
    for column in (
        *("views", "accuracy (95 % interval)", "log loss"),
        *("answers changed", "now right", "now wrong", "p (McNemar)"),
    ):
        table.add_column(column, justify="right")
    for item in found.tta:
        changes = ["–"] * 4
        if item.views > 1:
            parted = item.mcnemar
            changes = [f"{n:,}" for n in (item.changed, parted.gained, parted.lost)]
            changes.append(f"{parted.p_value:.3g}")
        score = item.score
        accuracy = console.percent(score.accuracy, score.ci95)
        table.add_row(str(item.views), accuracy, f"{score.log_loss:.4f}", *changes)
    console.print_table(table)
    best = best_tta(found.tta)
    console.echo(
        f"best on these {best.score.n:,} held-out rows: {best.views} "
        f"view{'s' * (best.views > 1)}{_how_sure(best)}; "
        f"to use it: kd predict {found.run} --tta {best.views}"
    )


def _evaluation_as_json(found: Evaluation) -> dict[str, Any]:
    from dataclasses import asdict

    metrics = found.metrics
    return {
        "run": found.run,
        **_views_as_json(found),
        **asdict(metrics.score),
        "calibration_error": metrics.calibration.error,
        "classes": [asdict(item) for item in metrics.classes],
        "confusion": metrics.confusion.tolist(),
        "pairs": [{**asdict(pair), "count": pair.count} for pair in metrics.pairs],
        "mistakes": [
            {**asdict(answer), "line": answer.line} for answer in found.most_confident_errors
        ],
        "doubtful": [
            {**asdict(answer), "line": answer.line} for answer in found.least_confident_correct
        ],
        "figures": {name: str(path) for name, path in found.figures.items()},
        "report": str(found.report),
    }


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _how_sure(best: TtaScore) -> str:
    """Whether more than chance parts the best from one view, as a bracket."""
    if best.views == 1:
        return ""
    chance = "hardly chance" if best.mcnemar.significant else "may be chance"
    return f" (against one view: {chance}, p = {best.mcnemar.p_value:.3g})"


def _views_as_json(found: Evaluation) -> dict[str, Any]:
    from dataclasses import asdict

    from kaggle_digits.evaluation.comparison import best_tta

    if not found.tta:
        return {}
    compared = [
        {
            "views": item.views,
            **asdict(item.score),
            "changed": item.changed,
            **asdict(item.mcnemar),
        }
        for item in found.tta
    ]
    return {
        "tta": found.tta[-1].views,
        "best_tta": best_tta(found.tta).views,
        "views": compared,
    }
