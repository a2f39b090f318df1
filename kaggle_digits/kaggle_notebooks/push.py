"""kd remote push: save a private notebook on Kaggle that trains a recipe, and record it here."""

from __future__ import annotations

import itertools
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from kaggle_digits._version import __version__
from kaggle_digits.core.errors import KaggleError, RunError, StorageError, UsageError
from kaggle_digits.data.splits import Split
from kaggle_digits.kaggle_api.errors import KaggleApiError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.push_record import PushRecord
from kaggle_digits.kaggle_notebooks.script import JobSpec, make_script, pack_source
from kaggle_digits.runs.store import check_name
from kaggle_digits.runs.submission_files import submission_path
from kaggle_digits.training.recipe import EnsembleRecipe
from kaggle_digits.training.recipes import RECIPES, find_recipe

T4 = "NvidiaTeslaT4"  # a session with two T4 GPUs
# Kaggle ends a session after 12 hours, some after 9, and then keeps none of its output.
DEFAULT_HOURS, MAX_HOURS, PACKING_SECONDS = 8.5, 12.0, 1800
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MIN_SLUG, MAX_SLUG = 5, 50  # Kaggle's limits for a title


@dataclass(frozen=True)
class PushRequest:
    """What to train on Kaggle; None means the default of the recipe or of ``kd train``.

    Attributes:
        recipe: name of a recipe, or path of a recipe file.
        name: name of the run.
        folds, seed, epochs, repeats: as for ``kd train``.
        accelerator: Kaggle's name of the machine; None for a session without a GPU.
        internet: whether packages that Kaggle's image lacks may be installed.
        hours: time limit, after which finished members are kept.
        slug: name of the notebook; default kd-RUN.
    """

    recipe: str
    name: str | None = None
    folds: int | None = None
    seed: int | None = None
    epochs: int | None = None
    repeats: int | None = None
    accelerator: str | None = T4
    internet: bool = True
    hours: float = DEFAULT_HOURS
    slug: str | None = None


@dataclass(frozen=True)
class PreparedPush:
    """A validated push: the job, its script, and the slug and accelerator of the notebook."""

    spec: JobSpec
    script: str
    slug: str
    accelerator: str | None

    @property
    def script_bytes(self) -> int:
        """Size of the script in UTF-8."""
        return len(self.script.encode())


def prepare(request: PushRequest, *, runs_dir: Path, submissions_dir: Path) -> PreparedPush:
    """Validate a push and make its script, without calling Kaggle.

    Raises:
        UsageError: the recipe, a setting or a name is not valid.
        RunError: a run or submission of that name exists.
        KaggleError: the script is longer than Kaggle accepts.
    """
    recipe = find_recipe(request.recipe).with_changes(epochs=request.epochs)
    own_models = [design.model for design in recipe.recipes if ":" in design.model]
    if own_models:
        raise UsageError(
            f"model {own_models[0]} is code of your own, which is not sent to Kaggle; choose a "
            "recipe of this toolkit's models: kd recipes"
        )
    folds = request.folds
    if folds is None and isinstance(recipe, EnsembleRecipe):
        folds = recipe.folds
    split = {"folds": folds, "seed": request.seed, "repeats": request.repeats}
    Split(  # raises UsageError
        kind="holdout" if folds is None else "folds",
        **{name: value for name, value in split.items() if value is not None},
    )
    if not 0 < request.hours <= MAX_HOURS:
        raise UsageError(f"--hours {request.hours:g} is not between 0 and {MAX_HOURS:g}")
    run = _run_name(request.name, recipe.name, runs_dir, submissions_dir)
    options: list[str] = []
    for name in ("epochs", "folds", "seed", "repeats"):
        if (value := getattr(request, name)) is not None:
            options += [f"--{name}", str(value)]
    is_file = request.recipe not in RECIPES
    path = Path(request.recipe)
    spec = JobSpec(
        push_id=secrets.token_hex(8),
        run=run,
        recipe=path.name if is_file else request.recipe,
        recipe_text=path.read_text(encoding="utf-8") if is_file else None,
        options=tuple(options),
        gpu=request.accelerator is not None,
        internet=request.internet,
        hours=request.hours,
    )
    slug = _check_slug(request.slug or _default_slug(run))
    return PreparedPush(spec, make_script(spec), slug, request.accelerator)


def push(
    prepared: PreparedPush, *, client: NotebookClient, runs_dir: Path, force: bool = False
) -> PushRecord:
    """Save the notebook on Kaggle, which starts it at once, and record it.

    Args:
        prepared: from ``prepare``.
        client: Kaggle's notebooks.
        runs_dir: folder of the record.
        force: push even if an earlier push of this run was not pulled.

    Raises:
        RunError: the run was pushed and not pulled, or the notebook belongs to another run.
        KaggleError: Kaggle rejected it, or it is unknown whether it was saved; then the record
            stays, so that ``kd remote status`` can look.
    """
    spec = prepared.spec
    with push_record.lock(runs_dir, spec.run):
        earlier = push_record.read(runs_dir, spec.run)
        if earlier is not None and earlier.open and not force:
            raise RunError(
                f"run {spec.run} was pushed on {earlier.pushed[:10]} and not pulled yet; kd "
                f"remote pull {spec.run}, or another --name, or --force to train it again"
            )
        ref = f"{client.username()}/{prepared.slug}"
        for other in push_record.read_all(runs_dir):
            if other.ref == ref and other.run != spec.run and other.open:
                raise RunError(
                    f"the notebook {ref} trains run {other.run}, which was not pulled yet; pull "
                    "it, or name another notebook with --slug"
                )
        record = PushRecord(
            run=spec.run,
            push_id=spec.push_id,
            ref=ref,
            url=f"https://www.kaggle.com/code/{ref}",
            version=None,
            recipe=spec.recipe,
            options=spec.options,
            accelerator=prepared.accelerator,
            internet=spec.internet,
            hours=spec.hours,
            toolkit=__version__,
            source_sha256=pack_source()[1],
            script_bytes=prepared.script_bytes,
            pushed=datetime.now().astimezone().isoformat(timespec="seconds"),
            state=push_record.SENDING,
        )
        push_record.write(runs_dir, record)
        try:
            saved = client.save(
                ref,
                prepared.script,
                accelerator=prepared.accelerator,
                internet=spec.internet,
                timeout_seconds=int(min(3600 * spec.hours + PACKING_SECONDS, 3600 * MAX_HOURS)),
            )
        except KaggleApiError as error:
            if not error.not_applied:
                raise KaggleError(
                    f"it is not known whether {ref} was pushed ({str(error).split(';', 1)[0]}); "
                    f"look with: kd remote status {spec.run}"
                ) from error
            with suppress(OSError, StorageError):  # the error of Kaggle matters more
                if earlier is None:
                    push_record.delete(runs_dir, spec.run)
                else:
                    push_record.write(runs_dir, earlier)
            raise
        record = replace(
            record,
            ref=saved.ref,
            url=saved.url or record.url,
            version=saved.version,
            state=push_record.PUSHED,
        )
        push_record.write(runs_dir, record)
    return record


def _run_name(name: str | None, prefix: str, runs_dir: Path, submissions_dir: Path) -> str:
    """Return ``name``, or the first free one of ``prefix``-1, -2, …"""

    def existing(candidate: str) -> Path | None:
        paths = (runs_dir / candidate, submission_path(submissions_dir, candidate))
        return next((path for path in paths if path.exists()), None)

    if name is not None:
        path = existing(check_name(name))
        if path is not None:
            raise RunError(f"{path} already exists; choose another --name")
        return name
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", prefix).strip("-_")[:40] or "run"
    candidates = (f"{stem}-{number}" for number in itertools.count(1))
    return next(
        candidate
        for candidate in candidates
        if not existing(candidate) and push_record.read(runs_dir, candidate) is None
    )


def _default_slug(run: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    return f"kd-{words}" if len(words) >= 2 else f"kd-run-{words}"


def _check_slug(slug: str) -> str:
    if not (SLUG.fullmatch(slug) and MIN_SLUG <= len(slug) <= MAX_SLUG):
        raise UsageError(
            f"{slug!r} cannot name a notebook: {MIN_SLUG} to {MAX_SLUG} lower-case letters, digits "
            "and single - between them; name it with --slug"
        )
    return slug
