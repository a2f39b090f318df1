"""Run commands in unusual environments: variables, locales, closed streams, odd folder names."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.file_integrity import broken, visible
from tests.robustness.kd import SECONDS_AT_MOST, Ended
from tests.robustness.report import Row
from tests.support.kaggle_server import FakeKaggle

ODD_NAME = "mit Leerzeichen, Übung & größer 数字"
KD = f'"{sys.executable}" -m kaggle_digits'
PICTURE, AT_ONCE = "picture.png", 2
# Without a writable home, the kaggle client needs another folder for its settings.
REMEDY = "set KAGGLE_CONFIG_DIR"


@dataclass(frozen=True)
class Place:
    """An environment in which commands are run.

    Attributes:
        name: its name in the table.
        shell: the line given to bash, with {kd} for the command.
        env: environment variables; None unsets one.
        folder: name of the working folder.
        silent: whether the command cannot print errors.
        may_fail: whether the command may fail because it cannot write its result.
    """

    name: str
    shell: str = "{kd}"
    env: dict[str, str | None] = field(default_factory=dict)
    folder: str = "place"
    silent: bool = False
    may_fail: bool = False


C_LOCALE: dict[str, str | None] = {
    "LC_ALL": "C",
    "LANG": None,
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": None,
}
# Python imports this file when it starts.
WITHOUT_LOCKS, CUSTOMIZE = "PYTHONPATH=.:$PYTHONPATH {kd}", "sitecustomize.py"
FLOCK = """import fcntl, os, warnings
warnings.simplefilter("error", UserWarning)
def flock(*_):
    raise OSError(int(os.environ["FLOCK"]), os.strerror(int(os.environ["FLOCK"])))
if "FLOCK" in os.environ:
    fcntl.flock = flock
"""
PLACES = (
    Place("HOME unset", env={"HOME": None}),
    Place("a HOME that does not exist", env={"HOME": "/nonexistent/home"}),
    Place("a HOME that is not a folder", env={"HOME": "/dev/null"}),
    Place("locale C", env=C_LOCALE),
    Place("a path with spaces and non-ASCII letters", folder=ODD_NAME),
    Place("both of these", env=C_LOCALE, folder=ODD_NAME),
    Place("Latin-1", env={"PYTHONIOENCODING": "latin-1"}),
    Place("stdin closed", "{kd} <&-"),
    Place("stdout closed", "{kd} >&-"),
    Place("stderr closed", "{kd} 2>&-", silent=True),
    Place("all three closed", "{kd} <&- >&- 2>&-", silent=True),
    Place("stdout full", "{kd} >/dev/full", may_fail=True),
    Place("stderr full", "{kd} 2>/dev/full", silent=True),
    Place("stdout closed early by its reader", "set -o pipefail; {kd} | head -c 1"),
    Place(
        "stdout and stderr closed early by their reader", "set -o pipefail; {kd} 2>&1 | head -c 1"
    ),
    Place("a reader of stdout that starts late", "set -o pipefail; {kd} | (sleep 3; cat)"),
    Place("no folder for temporary files", env={"TMPDIR": "/nonexistent"}),
    *(
        Place(f"no file locks ({errno.errorcode[code]})", WITHOUT_LOCKS, {"FLOCK": str(code)})
        for code in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
    ),
)
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("fetch", "--source", "sample", "--force"),
    ("inspect",),
    ("train", "--model", "mlp", "--epochs", "2", "--name", "new"),
    ("train", "--model", "softmax", "--epochs", "1", "--rows", "100", "--name", "new"),
    ("runs",),
    ("runs", "--json"),
    ("recipes", "--json"),
    ("evaluate", "a"),
    ("compare", "a", "b"),
    ("predict", "a"),
    ("ensemble", "a", "b"),
    ("submit", "a", "--yes"),
    ("classify", PICTURE, "--run", "keras"),
    ("doctor", "--json"),
    ("tune", "--model", "mlp", "--trials", "1", "--folds", "2", "--epochs", "1"),
    ("--help",),
)


def odd_places(
    template: Path, work: Path, env: dict[str, str], kaggle: FakeKaggle, *, quick: bool
) -> Iterator[Row]:
    """Yield one row per environment."""
    for number, place in enumerate(PLACES):
        # A third of the commands per environment (an eighth if quick), so that all are covered.
        commands = COMMANDS[number % 8 :: 8] if quick else COMMANDS[number % 3 :: 3]

        def tried(words: tuple[str, ...], place: Place = place) -> list[str]:
            folder = work / "-".join(words[:3]).replace("/", "") / place.folder
            shutil.copytree(template, folder)
            write_picture(folder / PICTURE)
            if "FLOCK" in place.env:
                (folder / CUSTOMIZE).write_text(FLOCK)
            told = [f"kd {' '.join(words)}: {one}" for one in _wrong(place, words, folder, env)]
            shutil.rmtree(folder)
            return told

        kaggle.submissions.clear()  # or that of the place before would be recognised
        with ThreadPoolExecutor(AT_ONCE) as pool:
            bad = [one for found in pool.map(tried, commands) for one in found]
        for one in bad:
            print(f"  {place.name}: {one}", flush=True)
        yield Row("disks", place.name, len(commands), len(bad))


def _wrong(
    place: Place, words: tuple[str, ...], folder: Path, env: dict[str, str]
) -> Iterator[str]:
    ended = _run(place, words, folder, env)
    if not ended.explained and not (place.may_fail or place.silent):
        yield f"{ended.code}: {(ended.stdout + ended.stderr).strip()[-300:]}"
    elif ended.code and not (place.may_fail or words[0] == "doctor" or REMEDY in ended.stderr):
        yield f"failed: {ended.stderr.strip()[-300:]}"
    elif place.may_fail and ended.code not in (0, 1):
        yield f"exit code {ended.code}: {ended.stderr.strip()[-300:]}"
    if "--json" in words and not place.may_fail and ended.stdout and "head" not in place.shell:
        json.loads(ended.stdout)
    yield from broken(folder)
    yield from (f"{path.name} is empty" for path in visible(folder) if not path.stat().st_size)


def _run(place: Place, words: tuple[str, ...], folder: Path, env: dict[str, str]) -> Ended:
    command = place.shell.format(kd=" ".join([KD, *words]))
    given = {**env, **{name: value for name, value in place.env.items() if value is not None}}
    for name, value in place.env.items():
        if value is None:
            given.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS_AT_MOST,
        check=False,
    )
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return Ended(words, done.returncode, out, err, 0.0)


def write_picture(path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("L", (80, 80), 255)
    ImageDraw.Draw(image).line((40, 10, 40, 70), fill=0, width=8)
    image.save(path)
