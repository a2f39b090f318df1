"""Full disks at random moments, and read-only folders.

A command first runs on a disk with enough space, to learn how much it writes, then on disks with
random fractions of that space. It must fail with one line, leave existing files unchanged and
nothing half written; after the disk is enlarged, the same command must succeed.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.kaggle_api.submission_log import read_log
from tests.robustness.environments import PICTURE, odd_places, write_picture
from tests.robustness.file_integrity import broken, leftovers, visible
from tests.robustness.kd import Ended, environment, run
from tests.robustness.report import Row
from tests.robustness.runners import Runners
from tests.support.competition_files import competition_files
from tests.support.kaggle_server import FakeKaggle

BLOCK, SPARE_KB, AT_ONCE = 4096, 64 << 10, 2
MLP = ("train", "--model", "mlp", "--epochs", "4", "--folds", "2")
KERAS = ("train", "--model", "dense", "--widths", "16", "--epochs", "1", "--rows", "100")
PREDICT = ("predict", "a", "--tta", "5", "-o", "submissions/new.csv")
ENSEMBLE = ("ensemble", "a", "b", "-o", "submissions/new.csv")
TUNE = ("tune", "--model", "mlp", "--trials", "2", "--folds", "2", "--epochs", "1")
# Command -> number of disks.
COMMANDS: dict[tuple[str, ...], int] = {
    ("fetch", "--force"): 5,
    (*MLP, "--name", "new"): 5,
    (*KERAS, "--name", "new"): 3,
    PREDICT: 3,
    ENSEMBLE: 3,
    ("submit", "a", "--yes"): 5,
    ("evaluate", "a"): 3,
    TUNE: 3,
}
# Command -> folders that it writes to; all others may be read-only.
WRITES: dict[tuple[str, ...], set[str]] = {
    ("fetch", "--force"): {"data"},
    (*MLP, "--name", "new"): {"runs", "submissions"},
    PREDICT: {"submissions"},
    ENSEMBLE: {"runs", "submissions"},
    # Forced, because Kaggle already has the submission of the case before.
    ("submit", "a", "--yes", "--force"): {"submissions"},
    ("evaluate", "a"): {"runs"},
    TUNE: {"runs"},
    ("runs", "--json"): set(),
    ("inspect", "--json"): set(),
    ("fetch",): set(),
    ("labels", "a"): {"runs"},
    ("classify", PICTURE, "--run", "keras"): set(),
    ("study", "neighbours", "--rows", "50"): {"runs"},
}
REMEDIES = ("free some", "choose", "TMPDIR", "KAGGLE_CONFIG_DIR", "--", "run it again")


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield the rows of this part."""
    with (
        Runners(AT_ONCE, keras=True) as runners,
        FakeKaggle(competition_files(n_train=200), left=1000) as kaggle,
    ):
        env = environment(work / "home", kaggle.environment(work / "home"))
        template = work / "template"
        for words in (
            ("fetch",),
            (*MLP, "--name", "a"),
            (*MLP[:3], "--epochs", "3", *MLP[5:], "--name", "b"),
            (*KERAS, "--name", "keras"),
        ):
            ended = runners.run(words, template, env)
            assert ended.code == 0, ended.stderr
        write_picture(template / PICTURE)
        if can_mount(work):
            shared = _Shared(template, work, env, kaggle, runners)
            yield from _full(shared, random.Random(seed), quick=quick)
            yield from _read_only(shared)
        else:
            yield Row("disks", "full disks", 0, 0, "not tried: needs root on Linux")
        yield _short_files(template, work, env)
        yield from odd_places(template, work, env, kaggle, quick=quick)


def can_mount(work: Path) -> bool:
    """Return whether this user may mount a tmpfs."""
    try:
        with disk(work / "try", 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def disk(folder: Path, kilobytes: int, *, inodes: int = 0) -> Iterator[Path]:
    """Mount a tmpfs of ``size`` bytes."""
    folder.mkdir(parents=True)
    more = f",nr_inodes={inodes}" if inodes else ""
    options = f"size={kilobytes}k{more}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def enlarge(folder: Path, kilobytes: int) -> None:
    """Enlarge the tmpfs."""
    options = f"remount,size={kilobytes}k"
    subprocess.run(["mount", "-o", options, str(folder)], check=True, capture_output=True)


@dataclass(frozen=True)
class _Shared:
    """What all tries share: the folder that they copy, the folder of their disks, and the rest."""

    template: Path
    work: Path
    env: dict[str, str]
    kaggle: FakeKaggle
    runners: Runners


def _full(shared: _Shared, chance: random.Random, *, quick: bool) -> Iterator[Row]:
    for words, often in COMMANDS.items():
        times = max(1, often // 10) if quick else often
        with disk(shared.work / "roomy", SPARE_KB) as place:
            _fill(shared.template, place)
            before = _used(place)
            ended, most = _watched(words, place, shared)
            assert ended.code == 0, ended.stderr
        needed = max(most - before, BLOCK)
        rooms = [int(needed * (number + chance.random()) / times) for number in range(times)]
        small = _Small(words, shared, before)
        # Submissions from two disks at a time could not be told apart.
        with ThreadPoolExecutor(1 if words[0] == "submit" else AT_ONCE) as pool:
            found = list(pool.map(small.tried, rooms))
        bad = [
            f"{room} bytes of {needed}: {one}"
            for room, tried in zip(rooms, found, strict=True)
            for one in tried[1]
        ]
        for one in bad:
            print(f"  kd {' '.join(words)}: {one}", flush=True)
        yield Row(
            "disks",
            f"disk full at a random moment of kd {words[0]}" + " (Keras)" * ("dense" in words),
            times,
            len(bad),
            f"{sum(refused for refused, _ in found)} refused; it writes {needed / 2**20:.1f} MB",
        )


@dataclass(frozen=True)
class _Small:
    """One command on small disks; ``used`` bytes are in use before it starts."""

    words: tuple[str, ...]
    shared: _Shared
    used: int

    def tried(self, room: int) -> tuple[bool, list[str]]:
        """Return whether it was refused, and every wrong result."""
        size, shared = (self.used + room) // 1024 + 1, self.shared
        with disk(shared.work / f"small{room}", size) as place:
            _fill(shared.template, place)
            shared.kaggle.submissions.clear()  # or those of earlier tries would be recognised
            ended = shared.runners.run(self.words, place, _on(place, shared.env))
            told = list(_ill(ended, place, shared.template))
            if self.words[0] == "submit":
                told += _unlogged(place, len(shared.kaggle.submissions))
            if not told and ended.code:
                enlarge(place, SPARE_KB)
                told = list(self.finish(place))
            return ended.code != 0, told

    def finish(self, place: Path) -> Iterator[str]:
        """Check that the same command succeeds on the enlarged disk."""
        words = self.words
        if words[0] == "train" and (place / "runs" / "new" / "config.json").exists():
            words = ("train", "--resume", "--name", "new")
        ended = self.shared.runners.run(words, place, _on(place, self.shared.env))
        # A submission that reached Kaggle but was not logged is logged now, and not sent again.
        settled = words[0] == "submit" and "were submitted on" in ended.stderr
        if ended.code and not settled:
            yield f"on the enlarged disk, {' '.join(words)}: {ended.stderr.strip()[-300:]}"
        yield from broken(place)


def _on(place: Path, env: dict[str, str]) -> dict[str, str]:
    """Put temporary files on the small disk too."""
    (place / "tmp").mkdir(exist_ok=True)
    return {**env, "TMPDIR": str(place / "tmp")}


def _fill(template: Path, place: Path) -> None:
    shutil.copytree(template, place, dirs_exist_ok=True)
    (place / "tmp").mkdir()


def _used(place: Path) -> int:
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _watched(words: tuple[str, ...], place: Path, shared: _Shared) -> tuple[Ended, int]:
    """Run the command; return its result and the largest use of the disk."""
    most, done = [_used(place)], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], _used(place))

    callback = threading.Thread(target=watch)
    callback.start()
    try:
        ended = shared.runners.run(words, place, _on(place, shared.env))
    finally:
        done.set()
        callback.join()
    return ended, max(most[0], _used(place))


def _ill(ended: Ended, place: Path, template: Path) -> Iterator[str]:
    if not ended.explained:
        yield f"{ended.code}: {(ended.stdout + ended.stderr).strip()[-300:]}"
    elif ended.code and not any(word in ended.errors[0] for word in REMEDIES):
        yield f"no remedy in the message: {ended.errors[0]}"
    yield from broken(place)
    if ended.code:
        yield from (f"left half written: {name}" for name in leftovers(place))
        for path in visible(template):
            name = path.relative_to(template)
            standing = place / name
            if not standing.is_file() or standing.read_bytes() != path.read_bytes():
                yield f"{name} was lost or changed"


def _unlogged(place: Path, sent: int) -> list[str]:
    entries = read_log(place / "submissions")
    if sent > 1 or (sent and not entries) or (len([e for e in entries if e.ref]) > sent):
        return [f"{sent} sent, log {entries}"]
    return []


def _read_only(shared: _Shared) -> Iterator[Row]:
    """Make each folder read-only in turn; commands that do not write to it must succeed."""
    cases = [
        (words, folder, folder not in needs)
        for words, needs in WRITES.items()
        for folder in ("data", "runs", "submissions")
    ]

    def tried(case: tuple[tuple[str, ...], str, bool]) -> list[str]:
        words, folder, unneeded = case
        place = shared.work / f"ro-{folder}-{len(words)}-{words[0]}"
        _fill(shared.template, place)
        with _locked(place / folder):
            ended = shared.runners.run(words, place, shared.env)
            told = list(_ill(ended, place, shared.template)) if ended.code else []
            if not ended.explained or (ended.code == 0) != unneeded:
                told.append(f"{ended.code}: {ended.stderr.strip()[-300:]}")
        shutil.rmtree(place)
        return [f"{folder} read-only, kd {' '.join(words)}: {one}" for one in told]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        bad = [one for found in pool.map(tried, cases) for one in found]
    for one in bad:
        print(f"  {one}", flush=True)
    yield Row("disks", "read-only folders, each command", len(cases), len(bad))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _short_files(template: Path, work: Path, env: dict[str, str]) -> Row:
    """Run commands under a limit of the file size (ulimit -f)."""
    bad, limits = [], (0, 2_000, 20_000, 100_000)
    env = {**env, "PYTHONDONTWRITEBYTECODE": "1"}  # or Python leaves truncated files of its own
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for number, words in enumerate(COMMANDS):
        limit = limits[number % len(limits)]
        place = work / "short"
        shutil.copytree(template, place)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            ended = run(words, place, env)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        told = [] if ended.code == 0 and ended.explained else list(_ill(ended, place, template))
        bad += [f"{limit} bytes per file, kd {' '.join(words)}: {one}" for one in told]
        shutil.rmtree(place)
    for one in bad:
        print(f"  {one}", flush=True)
    return Row("disks", "limited file size (ulimit -f), each command", len(COMMANDS), len(bad))
