"""kd labels: find labels of the training data that are probably wrong."""

from pathlib import Path

from kaggle_digits.cli import console, options

MAX_LINES = 5


def labels(
    run: str | None = options.RUN_OR_NEWEST,
    *,
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Find labels of train.csv that are probably wrong; write a table and a figure."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.evaluate import load_oof
    from kaggle_digits.evaluation.label_errors import write_label_errors

    opened = options.open_run_or_newest(runs_dir, run)
    dataset = load(data_dir)
    leak = opened.leak()
    if leak:
        console.warn(f"{leak}, so wrong labels may have been learned instead of found")
    result = write_label_errors(opened, dataset, load_oof(opened, dataset))
    if as_json:
        rows = []
        for item in result.errors:
            digits = {"line": item.line, "label": item.label, "suggested": item.predicted}
            shares = {"confidence": item.confidence, "label_probability": item.label_probability}
            rows.append(digits | shares)
        paths = {"table": result.table, "picture": result.figure, "leak": leak}
        console.print_json({"run": result.run, "n": result.rows, "label_errors": rows, **paths})
        return
    count = f"{len(result.errors):,} of {result.rows:,}"
    console.echo(f"{result.run}: {count} held-out labels may be wrong (confident learning)")
    if result.errors:
        console.echo("the confidences are after temperature scaling; kd show has them as trained")
    for item in result.errors[:MAX_LINES]:
        predicted = f"predicted {item.predicted} ({item.confidence_text} confidence)"
        console.echo(f"line {item.line}: labelled {item.label}, {predicted}")
    if len(result.errors) > MAX_LINES:
        console.echo(f"and {len(result.errors) - MAX_LINES:,} more, in the table")
    console.echo(f"table:  {result.table}")
    if result.figure:
        console.echo(f"figure: {result.figure}")
        look = f"kd show {result.errors[0].line} --run {result.run}"
        console.note(f"some are only badly written: look at them before you change a label: {look}")
