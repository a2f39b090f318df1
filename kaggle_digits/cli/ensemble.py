"""kd ensemble: combine several runs into one, or submission files into one submission."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, option
from kaggle_digits.core.errors import UsageError, check_choice

if TYPE_CHECKING:
    from kaggle_digits.data.dataset import Dataset
    from kaggle_digits.ensembling.ensemble import Ensemble
    from kaggle_digits.runs.run import Run


def ensemble(
    runs: list[str] = argument("Runs, or submission files (*.csv).", **options.A_RUN, default=...),
    *,
    method: str = option(
        "mean (default), vote, weighted or stack (logistic regression); files vote.", default="mean"
    ),
    name: str | None = option("Name of the ensemble, which is a run; default: ensemble-1, -2, …"),
    output: Path | None = options.OUTPUT,
    force: bool = options.FORCE,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Combine several runs or submissions, and measure how much each run adds."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.ensembling.combiners import METHODS
    from kaggle_digits.ensembling.ensemble import ensemble_runs
    from kaggle_digits.ensembling.ensemble_run import save_ensemble
    from kaggle_digits.runs import submission_files
    from kaggle_digits.runs.store import open_run

    check_choice("method", method, METHODS)
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UsageError("an ensemble needs at least two different runs: kd ensemble RUN RUN")
    submission_path = partial(submission_files.submission_path, submissions_dir)
    if output is None and name is not None:
        output = submission_path(name)
    if output is not None:
        submission_files.require_absent(output, force=force)
    if any(run.endswith(".csv") for run in runs):
        if name is not None:
            raise UsageError("--name is for an ensemble of runs; name a file of votes with -o FILE")
        if method not in ("mean", "vote"):
            raise UsageError(f"--method {method} needs runs; submission files can only vote")
        if not all(run.endswith(".csv") for run in runs):
            raise UsageError("name either runs or submission files ending in .csv, not both")
        files, folders = list(map(Path, runs)), (runs_dir, submissions_dir)
        _vote(files, load(data_dir), *folders, output, force=force, as_json=as_json)
        return
    opened = [open_run(runs_dir, run) for run in runs]
    dataset = load(data_dir)
    opened[0].check_data(dataset)
    combined = ensemble_runs(opened, dataset.labels, method)
    saved = save_ensemble(
        combined,
        opened,
        dataset,
        method,
        runs_dir=runs_dir,
        name=name,
        force=force,
        is_taken=partial(submission_files.is_taken, submissions_dir),
    )
    path = submission_files.write_run_submission(
        saved, dataset, output or submission_path(saved.name), force=force
    )
    if combined.leak:
        console.warn(f"{combined.leak}; so the ensemble has no out-of-fold accuracy")
    print_ensemble(saved, runs, combined, method, path, as_json=as_json)


def print_ensemble(
    saved: "Run",
    runs: Sequence[str],
    combined: "Ensemble",
    method: str,
    path: Path,
    *,
    as_json: bool,
) -> None:
    """Print the metrics of each run and of the ensemble, as a table or as JSON."""
    nothing = [None] * len(runs)
    temperatures = combined.temperatures or nothing
    weights, gains = combined.weights or nothing, combined.contributions or nothing
    if as_json:
        members = [
            {"run": member, "temperature": temperature, "weight": weight}
            | {"adds": gain and asdict(gain), **(asdict(score) if score else {})}
            for member, temperature, weight, gain, score in zip(
                runs, temperatures, weights, gains, combined.member_scores, strict=True
            )
        ]
        result: dict[str, Any] = {"submission": path, "method": method, "members": members}
        score = combined.score and asdict(combined.score)
        result |= {"weights_help": combined.weights_help, "ensemble": score}
        paths = {"run": saved.name, "folder": saved.path}
        console.print_json({**result, "leak": combined.leak, **paths})
        return
    scores = [*combined.member_scores, combined.score]
    accuracies = [score and console.percent(score.accuracy, score.ci95) for score in scores]
    columns: dict[tuple[str, str], Sequence[object]] = {  # (heading, format) → values
        ("", ""): [*runs, f"ensemble ({method})"],
        ("accuracy\n(95 % interval)", ">"): accuracies,
        ("rows", ","): [score.n if score else 0 for score in scores],
        ("log\nloss", ".4f"): [score and score.log_loss for score in scores],
        ("T", ".2f"): temperatures,
        ("weight", ".3f"): weights,
        ("adds\ncorrect", ">"): [gain and console.signed(gain.right, ".0f") for gain in gains],
        ("adds\nlog loss", ">"): [gain and console.signed(gain.log_loss, ".4f") for gain in gains],
    }
    shown = {heading: values for heading, values in columns.items() if any(values)}
    console.show_table(dict(shown.keys()), zip_longest(*shown.values(), fillvalue=""))
    if combined.temperatures is not None:
        console.note("T: temperature fitted out of fold; above 1 for an overconfident run")
    if combined.weights_help is False:
        console.note("weights do not lower the out-of-fold log loss, so all runs weigh the same")
    if combined.score is None and not combined.leak:
        console.note("no row was held out by all of these runs, so nothing can be measured")
    elif combined.score is not None:
        console.note("adds: this ensemble minus the ensemble without that run")
        if method != "vote":
            console.note("cross-validated: no row is measured with weights that were fitted on it")
    console.echo(f"{path}: written and checked")
    command = "evaluate" if combined.score else "export"
    console.note(f"the ensemble is run {saved.name}; next: kd {command} {saved.name}")


def _vote(
    files: Sequence[Path],
    dataset: "Dataset",
    runs_dir: Path,
    submissions_dir: Path,
    output: Path | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Write the majority vote; the best public score, or else the first file, decides ties."""
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.submission_csv import find_origin, read_submission
    from kaggle_digits.ensembling.combiners import majority_vote
    from kaggle_digits.ensembling.ensemble_run import common_source
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs import submission_files

    labels = {file: read_submission(file, dataset.ids) for file in files}
    log = [entry for entry in read_log(submissions_dir) if entry.public_score is not None]
    public_scores = {entry.sha256: entry.public_score for entry in log}
    scores = {file: public_scores.get(sha256(file)) for file in files}
    ordered = sorted(files, key=lambda file: -(scores[file] or 0.0))
    origins = [
        find_origin(file, labels[file], [submissions_dir])
        or submission_files.find_run_origin(runs_dir, labels[file])
        for file in files
    ]
    replace_output = partial(submission_files.move_existing, force=force)
    free_path = partial(submission_files.next_free_path, submissions_dir, "ensemble")
    path = submission_files.write_submission_file(
        output or free_path(),
        dataset,
        majority_vote([labels[file] for file in ordered]),
        resolve_path=replace_output if output else lambda _: free_path(),
        runs=[name for origin in origins if origin for name in origin.runs],
        method="vote",
        source=common_source(origin.source if origin else None for origin in origins),
        accuracy=None,
        n_val=0,
        extra_rows=sum(origin.extra_rows for origin in origins if origin),
        leak=next((origin.leak for origin in origins if origin and origin.leak), None),
    )
    if as_json:
        members = [{"file": file, "public_score": scores[file]} for file in ordered]
        console.print_json({"submission": path, "method": "vote", "members": members})
        return
    for file in ordered:
        score = scores[file]
        console.echo(f"{file}: public score {'unknown' if score is None else f'{score:.5f}'}")
    console.echo(f"{path}: majority of {len(files)} files, checked; the first above decides ties")
