"""kd evaluate: measure a run on its held-out rows and plot the results."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.text import plural

if TYPE_CHECKING:
    from kaggle_digits.evaluation.evaluate import Evaluation

MAX_PAIRS = 5
CLASS_COLUMNS = {
    **{"digit": ">", "images": ",", "correct": ",", "precision": ">"},
    **{"recall (95 % interval)": ">", "F1": ">"},
}
TTA_COLUMNS = {
    **{"views": ">", "accuracy\n(95 % interval)": ">", "log\nloss": ".4f"},
    **{"changed": ",", "now\ncorrect": ",", "now\nwrong": ",", "p\n(McNemar)": ">"},
}


def evaluate(
    run: str | None = options.RUN_OR_NEWEST,
    *,
    tta: int | None = option("Test-time augmentation: compare up to 1, 5 or 9 transformed views."),
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Measure a run on its held-out rows; write figures and report.html."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.evaluate import evaluate as evaluate_run

    opened = options.open_run_or_newest(runs_dir, run)
    predict = None
    if tta is not None:
        from kaggle_digits.cli.progress import track_folders
        from kaggle_digits.models.tta import check_tta
        from kaggle_digits.training.predict import predict_oof, saved_views

        check_tta(tta)
        predict = partial(predict_oof, tta=tta, each=track_folders)
    evaluation = evaluate_run(opened, load(data_dir), predict)
    if as_json:
        console.print_json(_as_json(evaluation))
        return
    _print_metrics(evaluation)
    if evaluation.tta:
        _print_tta(evaluation, saved_views(opened))
    console.echo(f"figures: {next(iter(evaluation.figures.values())).parent}")
    console.echo(f"report:  {evaluation.report}")
    console.note("open the report in a browser; it explains each figure")


def _print_metrics(evaluation: "Evaluation") -> None:
    metrics, score = evaluation.metrics, evaluation.metrics.score
    kind = "accuracy"
    if evaluation.leak:
        console.warn(f"no out-of-fold accuracy: {evaluation.leak}; the metrics are too good")
        kind = "leaked accuracy"
    if evaluation.tta:
        kind += f" with {plural(evaluation.tta[-1].views, 'view')} of each image"
    console.echo(
        f"{evaluation.run}: {kind} {console.percent(score.accuracy, score.ci95)} "
        f"on {score.n:,} held-out rows, log loss {score.log_loss:.4f}, "
        f"calibration error {metrics.calibrated.error:.4f}"
    )
    if metrics.temperature != 1:
        console.note(
            f"the calibration error is after temperature scaling, T = {metrics.temperature:.2f}; "
            f"as trained it is {metrics.calibration.error:.4f}"
        )
    rows: list[list[object]] = []
    for item in metrics.classes:
        shares = (item.precision, None), (item.recall, item.ci95), (item.f1, None)
        percents = [console.percent(share, ci95) for share, ci95 in shares]
        rows.append([item.digit, item.support, item.right, *percents])
    console.show_table(CLASS_COLUMNS, rows)
    if metrics.pairs:
        pairs = (f"{p.low} and {p.high} ({p.count})" for p in metrics.pairs[:MAX_PAIRS])
        console.echo(f"most confused: {', '.join(pairs)}")
    if evaluation.most_confident_errors:
        worst = evaluation.most_confident_errors[0]
        console.echo(
            f"most confident error: {worst.label} predicted as {worst.predicted} with "
            f"{worst.confidence_text} confidence; to see it: "
            f"kd show {worst.line} --run {evaluation.run}"
        )


def _print_tta(evaluation: "Evaluation", own_views: int) -> None:
    from kaggle_digits.evaluation.evaluate import best_tta

    rows: list[list[object]] = []
    for item in evaluation.tta:
        score, test = item.score, item.mcnemar
        changes = (item.changed, test.gained, test.lost, test.p_text.strip("= "))
        accuracy = console.percent(score.accuracy, score.ci95)
        more = changes if item.views > 1 else (None,) * 4
        rows.append([item.views, accuracy, score.log_loss, *more])
    console.show_table(TTA_COLUMNS, rows, "The same rows, predicted from more views of each image")
    best = best_tta(evaluation.tta)
    significance = ""
    if best.views > 1:
        chance = "significant" if best.mcnemar.significant else "not significant"
        significance = f" (compared with one view: {chance}, p {best.mcnemar.p_text})"
    use = "its submission has them"
    if best.views != own_views:
        name = f"{evaluation.run}-tta{best.views}.csv"
        use = f"to use it: kd predict {evaluation.run} --tta {best.views} -o {name}"
    console.echo(
        f"best on these {best.score.n:,} held-out rows: {plural(best.views, 'view')}"
        f"{significance}; {use}"
    )
    console.note(
        f"the first line, the figures and the report are with {evaluation.tta[-1].views} views; "
        f"other commands show the accuracy with {plural(own_views, 'view')}"
    )


def _as_json(evaluation: "Evaluation") -> dict[str, Any]:
    from kaggle_digits.evaluation.evaluate import best_tta

    result: dict[str, Any] = {"run": evaluation.run}
    if evaluation.tta:
        result["tta"] = evaluation.tta[-1].views
        result["best_tta"] = best_tta(evaluation.tta).views
        result["views"] = [
            {"views": item.views, **asdict(item.score), "changed": item.changed}
            | asdict(item.mcnemar)
            for item in evaluation.tta
        ]
    errors, unsure = evaluation.most_confident_errors, evaluation.least_confident_correct
    metrics = evaluation.metrics
    return {
        **result,
        **console.without_leaked(asdict(metrics.score), evaluation.leak),
        "calibration_error": metrics.calibration.error,
        "temperature": metrics.temperature,
        "calibrated_error": metrics.calibrated.error,
        "classes": [asdict(item) for item in metrics.classes],
        "confusion": metrics.confusion.tolist(),
        "pairs": [asdict(pair) for pair in metrics.pairs],
        "mistakes": [asdict(item) for item in errors],
        "doubtful": [asdict(item) for item in unsure],
        "figures": evaluation.figures,
        "report": evaluation.report,
    }
