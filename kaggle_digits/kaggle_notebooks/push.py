"""kd remote push: a recipe becomes a private notebook at Kaggle, and a record of it here."""

from __future__ import annotations

import itertools
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from kaggle_digits._version import __version__
from kaggle_digits.core.errors import KaggleError, RunError, StorageError, UsageError
from kaggle_digits.data.splits import Split
from kaggle_digits.kaggle_api.errors import KaggleApiError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.notebooks import Notebook
from kaggle_digits.kaggle_notebooks.script import JobSpec, Script, make_script
from kaggle_digits.runs.store import check_name
from kaggle_digits.runs.submission_files import submission_path
from kaggle_digits.training.recipe import EnsembleRecipe
from kaggle_digits.training.recipes import RECIPES, find_recipe

T4 = "NvidiaTeslaT4"  # one session has two of them
# Kaggle ends a session after 12 hours, of some kinds after 9, and keeps nothing of it then.
HOURS, MOST_HOURS, SPARE_SECONDS = 8.5, 12.0, 1800
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SHORTEST, LONGEST = 5, 50  # of a title at Kaggle


@dataclass(frozen=True)
class PushRequest:
    """What to train on Kaggle, as the user says it; None leaves it to the recipe and kd train.

    Attributes:
        recipe: a name or a recipe file.
        name: of the run.
        folds, seed, epochs, repeats: as for ``kd train``.
        accelerator: Kaggle's name of the machine, or None for a session without.
        internet: whether packages that Kaggle's image lacks may be installed.
        hours: after which the training stops, and members that are finished are kept.
        slug: of the notebook; ``kd-RUN`` by default.
    """

    recipe: str
    name: str | None = None
    folds: int | None = None
    seed: int | None = None
    epochs: int | None = None
    repeats: int | None = None
    accelerator: str | None = T4
    internet: bool = True
    hours: float = HOURS
    slug: str | None = None


@dataclass(frozen=True)
class PreparedPush:
    """A script that can be pushed: checked, nothing sent."""

    order: JobSpec
    script: Script
    slug: str
    accelerator: str | None


def prepare(wish: PushRequest, *, runs_dir: Path, submissions_dir: Path) -> PreparedPush:
    """Check all that can be checked here, and make the script.

    Raises:
        UsageError: the recipe, a setting or a name can never work.
        RunError: the run's name is taken.
        KaggleError: the script is longer than Kaggle takes.
    """
    recipe = find_recipe(wish.recipe).with_changes(epochs=wish.epochs)
    own = [design.model for design in recipe.recipes if ":" in design.model]
    if own:
        raise UsageError(
            f"model {own[0]} is code of your own, which does not travel to Kaggle; choose a "
            "recipe of this toolkit's models: kd recipes"
        )
    folds = wish.folds
    if folds is None and isinstance(recipe, EnsembleRecipe):
        folds = recipe.folds
    given = {"folds": folds, "seed": wish.seed, "repeats": wish.repeats}
    Split(
        kind="holdout" if folds is None else "folds",
        **{key: value for key, value in given.items() if value is not None},
    )
    if not 0 < wish.hours <= MOST_HOURS:
        raise UsageError(f"--hours {wish.hours:g} is not between 0 and {MOST_HOURS:g}")
    run = _free_name(wish.name, recipe.name, runs_dir, submissions_dir)
    slug = _slug(wish.slug, run)
    text = None
    path = Path(wish.recipe)
    if wish.recipe not in RECIPES:
        text = path.read_text(encoding="utf-8")
    options = {"epochs": wish.epochs, "folds": wish.folds}
    options |= {"seed": wish.seed, "repeats": wish.repeats}
    order = JobSpec(
        push_id=secrets.token_hex(8),
        run=run,
        recipe=wish.recipe if text is None else path.name,
        recipe_text=text,
        options=tuple(
            word
            for name, value in options.items()
            if value is not None
            for word in (f"--{name}", str(value))
        ),
        gpu=wish.accelerator is not None,
        internet=wish.internet,
        hours=wish.hours,
    )
    return PreparedPush(order, make_script(order), slug, wish.accelerator)


def push(
    ready: PreparedPush, *, kernels: NotebookClient, runs_dir: Path, force: bool = False
) -> push_record.PushRecord:
    """Save the notebook at Kaggle, where it starts at once, and record it.

    Args:
        ready: from ``prepare``.
        kernels: Kaggle's notebooks.
        runs_dir: where the record is kept.
        force: push though an earlier push of this run was not pulled.

    Raises:
        RunError: the run was pushed and not pulled, or the notebook is another run's.
        KaggleError: Kaggle did not take it, or it is not known whether it did; then the record
            stays, and ``kd remote status`` looks.
    """
    order = ready.order
    with push_record.lock(runs_dir, order.run):
        earlier = push_record.read(runs_dir, order.run)
        if earlier is not None and earlier.open and not force:
            raise RunError(
                f"run {order.run} was pushed on {earlier.pushed[:10]} and not pulled yet; kd "
                f"remote pull {order.run}, or another --name, or --force to train it anew"
            )
        ref = f"{kernels.username()}/{ready.slug}"
        _refuse_anothers(runs_dir, order.run, ref)
        sending = push_record.PushRecord(
            run=order.run,
            push_id=order.push_id,
            ref=ref,
            url=f"https://www.kaggle.com/code/{ref}",
            version=None,
            recipe=order.recipe,
            options=order.options,
            accelerator=ready.accelerator,
            internet=order.internet,
            hours=order.hours,
            toolkit=__version__,
            source_sha256=ready.script.source_sha256,
            script_bytes=ready.script.bytes,
            pushed=datetime.now().astimezone().isoformat(timespec="seconds"),
            state=push_record.SENDING,
        )
        push_record.write(runs_dir, sending)
        try:
            saved = kernels.save(_notebook(ready, ref))
        except KaggleApiError as error:
            if error.not_applied:
                _put_back(runs_dir, order.run, earlier)
                raise
            raise KaggleError(
                f"it is not known whether {ref} was pushed ({str(error).split(';', 1)[0]}); look "
                f"with: kd remote status {order.run}"
            ) from error
        done = replace(
            sending,
            ref=saved.ref,
            url=saved.url or sending.url,
            version=saved.version,
            state=push_record.PUSHED,
        )
        push_record.write(runs_dir, done)
    return done


def _notebook(ready: PreparedPush, ref: str) -> Notebook:
    owner, slug = ref.split("/")
    return Notebook(
        owner=owner,
        slug=slug,
        text=ready.script.text,
        accelerator=ready.accelerator,
        internet=ready.order.internet,
        seconds=int(min(3600 * ready.order.hours + SPARE_SECONDS, 3600 * MOST_HOURS)),
    )


def _free_name(name: str | None, stem: str, runs_dir: Path, submissions_dir: Path) -> str:
    def taken(candidate: str) -> Path | None:
        places = (runs_dir / candidate, submission_path(submissions_dir, candidate))
        return next((place for place in places if place.exists()), None)

    if name is None:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:40] or "run"
        return next(
            free
            for number in itertools.count(1)
            if not taken(free := f"{stem}-{number}") and push_record.read(runs_dir, free) is None
        )
    place = taken(check_name(name))
    if place is not None:
        raise RunError(f"{place} already exists; choose another --name")
    return name


def _slug(slug: str | None, run: str) -> str:
    if slug is None:
        words = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
        slug = f"kd-{words}" if len(words) >= 2 else f"kd-run-{words}"
    if not (SLUG.fullmatch(slug) and SHORTEST <= len(slug) <= LONGEST):
        raise UsageError(
            f"{slug!r} cannot name a notebook: {SHORTEST} to {LONGEST} small letters, digits and "
            "single - between them; give one by --slug"
        )
    return slug


def _refuse_anothers(runs_dir: Path, run: str, ref: str) -> None:
    for other in push_record.read_all(runs_dir):
        if other.ref == ref and other.run != run and other.open:
            raise RunError(
                f"the notebook {ref} trains run {other.run}, which was not pulled yet; pull it, "
                "or name another notebook by --slug"
            )


def _put_back(runs_dir: Path, run: str, earlier: push_record.PushRecord | None) -> None:
    try:
        if earlier is None:
            push_record.delete(runs_dir, run)
        else:
            push_record.write(runs_dir, earlier)
    except (OSError, StorageError):
        pass  # what Kaggle said matters more
