"""kd publish: write a model card beside a run's model, and send both to a model hub."""

from functools import partial
from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import flag, option
from kaggle_digits.core.text import file_size


def publish(
    run: str | None = options.RUN_OR_NEWEST,
    *,
    to: str | None = option(
        "hf:OWNER/NAME (Hugging Face) or kaggle:OWNER/NAME; default: only write.", metavar="SITE"
    ),
    dry_run: bool = flag("Show what would be sent; send nothing.", "--dry-run"),
    public: bool = flag("Anybody may see a new model.", "--public"),
    new_version: bool = flag("If it is published already, add a version.", "--new-version"),
    license_name: str = option(
        "mit, apache-2.0, cc-by-sa-4.0 or cc0-1.0.", "--license", show_default=True, default="mit"
    ),
    format_name: str | None = option(
        "litert or onnx; default: litert, or onnx for scikit-learn models.", "--format"
    ),
    folder: Path | None = option("Default published/RUN.", "--output", "-o", metavar="FOLDER"),
    force: bool = options.FORCE,
    timeout: float = options.TIMEOUT,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Write a run's model and model card, and publish them on Hugging Face or Kaggle."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.publishing import card, targets
    from kaggle_digits.training.export import images_to_compare

    target = targets.parse_target(to) if to else None
    if target and not dry_run:
        targets.check_login(target)
    kind = card.check_kind(format_name) if format_name else None
    opened = options.open_run_or_newest(runs_dir, run)
    opened.metrics()  # raises if the run is unfinished
    kind = kind or card.default_kind(opened)
    folder = folder or Path("published", opened.name)
    images = images_to_compare(partial(load, data_dir))
    with console.err.status(f"writing {folder}"):
        is_new = card.write_folder(
            opened, folder, kind=kind, licence=license_name, images=images, force=force
        )
    if not is_new:
        console.note(f"{folder} was made from this run and is kept; --force makes it again")
    publication = targets.Publication(
        folder, opened.name, kind, license_name, private=not public, new_version=new_version
    )
    url = None
    if target and not dry_run:
        from kaggle_digits.kaggle_api.http import RetryPolicy

        with console.err.status(f"publishing {target}"):
            url = targets.publish(publication, target, policy=RetryPolicy.from_timeout(timeout))
    if as_json:
        files = {path.name: path.stat().st_size for path in publication.files}
        target_keys = {"to": to, "url": url, "private": not public, "license": license_name}
        console.print_json({"run": opened.name, "folder": folder, "files": files, **target_keys})
        return
    for path in publication.files:
        console.echo(f"{path}: {file_size(path.stat().st_size)}")
    if url:
        console.echo(f"published: {url}")
    elif target:
        where = f"{target}, {'public' if public else 'private'}"
        console.echo(f"nothing was sent; without --dry-run, these files go to {where}")
    else:
        console.note(f"next: read {folder / 'README.md'}, then kd publish {opened.name} --to hf:…")
