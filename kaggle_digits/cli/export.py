"""kd export: convert the model of a run to a format for other programs."""

from functools import partial
from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.text import file_size


def export(
    run: str | None = options.RUN_OR_NEWEST,
    *,
    format_name: str = option(
        "litert (default; the same as tflite), onnx or saved_model.",
        "--format",
        metavar="FORMAT",
        autocompletion=lambda: ["litert", "tflite", "onnx", "saved_model"],
        default="litert",
    ),
    folder: Path | None = option("Default exports/RUN-FORMAT.", "--output", "-o", metavar="FOLDER"),
    force: bool = options.FORCE,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Convert a run's model for other programs and compare their predictions."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.models.formats import check_format
    from kaggle_digits.training.export import export_run, images_to_compare

    format_name = check_format(format_name)
    opened = options.open_run_or_newest(runs_dir, run)
    opened.metrics()  # raises if the run is unfinished
    images = images_to_compare(partial(load, data_dir))
    folder = folder or Path("exports", f"{opened.name}-{format_name}")
    with console.err.status(f"exporting {opened.name} to {format_name}"):
        exported = export_run(opened, format_name, folder, images, force=force)
    if as_json:
        paths = {"run": opened.name, "format": format_name, "path": exported.path}
        values = {"bytes": exported.size, "n": exported.n, "difference": exported.difference}
        console.print_json({**paths, **values})
        return
    console.echo(
        f"{exported.path}: {file_size(exported.size)}, probabilities within "
        f"{exported.difference:.1g} of {exported.library} on {exported.n:,} images"
    )
    console.note(f"how to use it: {exported.folder / 'README.md'}")
