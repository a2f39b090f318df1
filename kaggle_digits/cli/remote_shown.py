"""What kd remote says of scripts, sessions and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import console

if TYPE_CHECKING:
    from kaggle_digits.kaggle_notebooks.pull import PullResult
    from kaggle_digits.kaggle_notebooks.status import PushStatus


def words(now: PushStatus) -> str:
    """How a push stands, in one line."""
    meaning = {
        "queued": "queued: waits for a machine",
        "running": "running: training, or packing what came of it",
        "complete": "complete: ready to be pulled",
    }.get(now.state, now.state)
    if now.stale:
        meaning = f"{now.state}, but that is said of an earlier version: this one is to come"
    failure = f": {now.failure}" if now.failure else ""
    return f"{now.push.run} ({now.push.ref}): {meaning}{failure}"


def show_script(run: str, size: int, output: Path | None, *, as_json: bool) -> None:
    """A script that was made and not sent."""
    if as_json:
        console.print_json({"run": run, "bytes": size, "script": output and str(output)})
    elif output is not None:
        console.echo(f"{output}: written; nothing was sent")
    else:
        console.echo(f"{run}: {size:,} bytes; nothing was sent")


def show_run(pulled: PullResult, *, as_json: bool) -> None:
    """A run that came back."""
    about = pulled.manifest.about
    if as_json:
        console.print_json(
            {
                "run": pulled.run.name,
                "folder": str(pulled.run.path),
                "submission": pulled.submission and str(pulled.submission),
                **about,
                **pulled.run.metrics(),
            }
        )
        return
    metrics = pulled.run.metrics()
    interval = metrics["val_accuracy_ci95"]
    machines = ", ".join(about["gpus"]) or "no GPU"
    console.echo(
        f"{pulled.run.name}: {console.percent(metrics['val_accuracy'], interval)} right on "
        f"{metrics['n_val']} rows held out (95 % interval), {about['seconds']:.0f} s on {machines}"
    )
    console.echo(f"{pulled.run.path}: {len(pulled.manifest.files)} files, each as it was packed")
    if pulled.submission is not None:
        console.echo(f"{pulled.submission}: written and checked")
    else:
        console.warn(f"no submission was written: {pulled.why_not}")
    console.note(f"next: kd evaluate {pulled.run.name}")
