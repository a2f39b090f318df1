"""kd remote push: save a private notebook on Kaggle that trains a recipe, and record it here.

Its script is entry_point.py, the settings of the training, and the packed toolkit.
"""

import base64
import hashlib
import itertools
import json
import lzma
import os
import re
import secrets
import textwrap
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cache
from pathlib import Path

import kaggle_digits
from kaggle_digits._version import __version__
from kaggle_digits.core.errors import KaggleError, RunError, StorageError, UsageError
from kaggle_digits.data.splits import Split
from kaggle_digits.kaggle_api.errors import KaggleApiError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.push_record import Job, PushRecord
from kaggle_digits.runs.store import check_new_name, numbered_names
from kaggle_digits.runs.submission_files import is_taken
from kaggle_digits.training.recipe import EnsembleRecipe, runs_user_code
from kaggle_digits.training.recipes import RECIPES, find_recipe

PACKAGE = Path(kaggle_digits.__file__).parent
PACKED_SUFFIXES = {".py", ".json", ".html", ".css", ".js", ".j2", ".pyi", ".typed"}
CREDENTIAL_FILES = {"kaggle.json", "credentials.json"}  # never packed, should a user put one there
MAX_BYTES = 1_000_000  # Kaggle rejects longer scripts
# Kaggle ends a session after 12 hours, some after 9, and then keeps none of its output.
MAX_HOURS, PACKING_SECONDS = 12.0, 1800
SLUG = re.compile(r"(?=.{5,50}$)[a-z0-9]+(-[a-z0-9]+)*")  # the length is Kaggle's limit for a title


@dataclass(frozen=True)
class JobSpec(Job):
    """What a notebook trains. Its script repeats all of it."""

    recipe_text: str | None  # content of the recipe file
    slug: str  # name of the notebook


def prepare(
    recipe: str,
    *,
    name: str | None = None,
    accelerator: str | None,
    internet: bool,
    hours: float,
    slug: str | None = None,
    runs_dir: Path,
    submissions_dir: Path,
    **options: int | None,
) -> JobSpec:
    """Validate the arguments of kd remote push without calling Kaggle.

    ``options`` are epochs, folds, seed and repeats, as for kd train. UsageError: the recipe, a
    setting or a name is not valid. RunError: a run or submission of that name exists.
    """
    chosen = find_recipe(recipe).with_changes(epochs=options.get("epochs"))
    if runs_user_code(chosen):
        raise UsageError(
            f"recipe {chosen.name} ({chosen.model}) needs code of your own, which is not sent to "
            "Kaggle; choose a recipe of this toolkit's models: kd recipes"
        )
    settings = {option: value for option, value in options.items() if value is not None}
    split = {option: value for option, value in settings.items() if option != "epochs"}
    if "folds" not in split and isinstance(chosen, EnsembleRecipe):
        split["folds"] = chosen.folds
    Split(kind="folds" if "folds" in split else "holdout", **split)  # raises UsageError
    if not 0 < hours <= MAX_HOURS:
        raise UsageError(f"--hours {hours:g} is not between 0 and {MAX_HOURS:g}")

    def is_used(run: str) -> bool:
        return os.path.lexists(runs_dir / run) or is_taken(submissions_dir, run)

    if name is None:
        names = itertools.filterfalse(is_used, numbered_names(chosen.name[:40]))
        run = next(free for free in names if push_record.read(runs_dir, free) is None)
    elif is_used(run := check_new_name(runs_dir, name)):
        raise RunError(f"a run or submission {run} already exists; choose another --name")
    if slug is None:
        words = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
        slug = f"kd-{words}" if len(words) >= 2 else f"kd-run-{words}"
    if not SLUG.fullmatch(slug):
        raise UsageError(
            f"{slug!r} cannot name a notebook: 5 to 50 lower-case letters, digits and single - "
            "between them; name it with --slug"
        )
    is_file = recipe not in RECIPES and Path(recipe).is_file()
    text = Path(recipe).read_text(encoding="utf-8") if is_file else None
    return JobSpec(
        push_id=secrets.token_hex(8),
        run=run,
        recipe=recipe if text is None else Path(recipe).name,
        recipe_text=text,
        options=tuple(word for key in settings for word in (f"--{key}", str(settings[key]))),
        accelerator=accelerator,
        internet=internet,
        hours=hours,
        slug=slug,
    )


@cache
def pack_source() -> tuple[str, str]:
    """Pack the files of this package; the same files give the same text.

    Returns base64 of xz of JSON {path: text}, and its hexadecimal SHA-256.
    """
    files = {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes().decode()
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and is_packed(path.relative_to(PACKAGE))
    }
    # The package is not installed on Kaggle, so nothing else there knows its version.
    files["kaggle_digits/_version.py"] = f"__version__ = {__version__!r}\n"
    packed = base64.b64encode(lzma.compress(json.dumps(files).encode(), preset=9)).decode()
    return packed, hashlib.sha256(packed.encode()).hexdigest()


def is_packed(path: Path) -> bool:
    """Return whether a file of the package, relative to it, is source that Kaggle needs."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return path.suffix in PACKED_SUFFIXES and not hidden and path.name not in CREDENTIAL_FILES


def make_script(spec: JobSpec) -> str:
    """Return the script that trains ``spec``; KaggleError if it is longer than Kaggle accepts."""
    source, digest = pack_source()
    settings = json.dumps({**asdict(spec), "toolkit": __version__, "source_sha256": digest})
    entry_point = (PACKAGE / "kaggle_notebooks" / "entry_point.py").read_text(encoding="utf-8")
    script = (
        f"# Made by kaggle-digits {__version__}, kd remote push RECIPE. It trains recipe "
        f"{json.dumps(spec.recipe)}.\n"
        f"{entry_point}\n\n"
        f"SETTINGS = {settings!r}\n"
        f'# The toolkit itself; unpack() reads it.\nSOURCE = """\n{textwrap.fill(source, 100)}\n'
        '"""\n\n'
        'if __name__ == "__main__":\n'
        "    sys.exit(main(json.loads(SETTINGS), SOURCE))\n"
    )
    size = len(script.encode())
    if size > MAX_BYTES:
        raise KaggleError(
            f"the notebook's script would have {size:,} bytes and Kaggle accepts {MAX_BYTES:,}; "
            "make the recipe file smaller"
        )
    return script


def push(
    spec: JobSpec, script: str, *, client: NotebookClient, runs_dir: Path, force: bool = False
) -> PushRecord:
    """Save the notebook on Kaggle, which starts it at once, and record it in ``runs_dir``.

    RunError: the run was pushed and not pulled (unless ``force``), or the notebook belongs to
    another run. KaggleError: Kaggle rejected it, or it is unknown whether it was saved; then the
    record stays, so that ``kd remote status`` can look.
    """
    with push_record.lock(runs_dir, spec.run) as folder:
        earlier = push_record.read(runs_dir, spec.run)
        if earlier is not None and earlier.open and not force:
            raise RunError(
                f"run {spec.run} was pushed on {earlier.pushed[:10]} and not pulled yet; kd "
                f"remote pull {spec.run}, or another --name, or --force to train it again"
            )
        ref = f"{client.username()}/{spec.slug}"
        for other in push_record.read_all(runs_dir):
            if other.ref == ref and other.run != spec.run and other.open:
                raise RunError(
                    f"the notebook {ref} trains run {other.run}, which was not pulled yet; pull "
                    "it, or name another notebook with --slug"
                )
        record = PushRecord(
            **{field.name: getattr(spec, field.name) for field in fields(Job)},
            ref=ref,
            url=f"https://www.kaggle.com/code/{ref}",
            version=None,
            toolkit=__version__,
            source_sha256=pack_source()[1],
            script_bytes=len(script.encode()),
            pushed=datetime.now().astimezone().isoformat(timespec="seconds"),
            state=push_record.SENDING,
        )
        push_record.write(runs_dir, record)
        try:
            saved_ref, url, version = client.save(
                ref,
                script,
                accelerator=spec.accelerator,
                internet=spec.internet,
                seconds=int(min(3600 * spec.hours + PACKING_SECONDS, 3600 * MAX_HOURS)),
            )
        except KaggleApiError as error:
            if not error.not_applied:
                raise KaggleError(
                    f"it is not known whether {ref} was pushed ({str(error).split(';', 1)[0]}); "
                    f"look with: kd remote status {spec.run}"
                ) from error
            with suppress(OSError, StorageError):  # the error of Kaggle matters more
                if earlier is None:
                    (folder / push_record.FILE).unlink()
                else:
                    push_record.write(runs_dir, earlier)
            raise
        record = replace(record, ref=saved_ref, url=url or record.url, version=version)
        record = replace(record, state=push_record.PUSHED)
        push_record.write(runs_dir, record)
    return record
