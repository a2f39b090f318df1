"""Kill commands with SIGKILL at random moments; all files are complete and a rerun finishes.

Each command first runs undisturbed in a folder of its own, which gives its duration and its
expected files. Then, in copies of that folder, its process group is killed at moments spread over
that time, every file is parsed, and the command is run again.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import open_run
from tests.robustness.file_integrity import broken, leftovers
from tests.robustness.kd import Ended, environment
from tests.robustness.killed_submit import AT_ONCE as SUBMISSIONS_AT_ONCE
from tests.robustness.killed_submit import torture_submit
from tests.robustness.report import Row
from tests.robustness.runners import Runners
from tests.support.competition_files import competition_files
from tests.support.kaggle_server import FakeKaggle
from tests.support.kernels import Runner, Session, replay

AT_ONCE = 2
# These differ between two identical runs.
IGNORED = {"train_seconds", "finished", "peak_memory_mb"}
MLP = ("train", "--model", "mlp", "--epochs", "6")
KERAS = ("train", "--model", "dense", "--widths", "16", "--epochs", "2", "--folds", "2")


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        tried: description in the table.
        words: arguments of ``kd``.
        times: number of kills.
        result: returns the command's result from its folder, to compare with the undisturbed one.
        again: arguments of the rerun; None repeats ``words``.
        killed_again: how many reruns are killed too.
    """

    tried: str
    words: tuple[str, ...]
    times: int
    result: Callable[[Path], Any]
    again: Callable[[Path], tuple[str, ...]] | None = None
    killed_again: int = 0


@dataclass
class Found:
    """The results of all kills of one command."""

    tries: int = 0
    killed: int = 0
    half: int = 0
    bad: list[str] = field(default_factory=list)


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield the rows of this part."""
    files = competition_files(n_train=400)
    with Runners(SUBMISSIONS_AT_ONCE, keras=True) as runners:
        with FakeKaggle(files) as kaggle:
            env = environment(work / "home", kaggle.environment(work / "home"))
            template = _template(work / "template", env, kaggle, runners)
            for case in _cases(files, quick):
                place = template if case.words[0] != "fetch" else work / "nothing"
                killer = _Killer(case, place, work / "places", env, runners)
                yield _row(case, killer.torture(seed))
        yield from torture_submit(work / "submit", random.Random(seed), runners, quick=quick)


def _cases(files: dict[str, bytes], quick: bool) -> list[Case]:
    def often(times: int) -> int:
        return max(1, times // 10) if quick else times

    def fetched(place: Path) -> Any:
        standing = {name: (place / "data" / name).read_bytes() == files[name] for name in files}
        record = json.loads((place / "data" / "source.json").read_text())
        return standing, record["source"], (place / "data" / ".fetch").exists()

    def sampled(place: Path) -> Any:
        record = json.loads((place / "data" / "source.json").read_text())
        return record["sha256"], (place / "data" / ".fetch").exists()

    def resume(place: Path) -> tuple[str, ...]:
        if (place / "runs" / "new" / "config.json").exists():
            return ("train", "--resume", "--name", "new")
        return ()

    def pull_again(place: Path) -> tuple[str, ...]:
        return (
            ("runs",) if _push(place)["state"] == "pulled" else ()
        )  # everything was done before the kill, only the message was missing

    def trained(place: Path) -> Any:
        return figures(open_run(place / "runs", "new")), _bytes(place, "submissions/new.csv")

    name = ("--name", "new")
    folds = (*MLP, "--folds", "4", *name)
    tune = ("tune", "--model", "mlp", "--trials", "3", "--folds", "2", "--epochs", "2")
    return [
        Case("fetch from Kaggle", ("fetch",), often(10), fetched),
        Case("fetch --source sample", ("fetch", "--source", "sample"), often(4), sampled),
        Case("train mlp in 4 folds, then --resume", folds, often(8), trained, resume),
        Case("the same, --resume killed twice more", folds, often(3), trained, resume, 2),
        Case("train dense (Keras) in 2 folds", (*KERAS, *name), often(4), trained, resume),
        Case("train --workers 2", (*folds, "--workers", "2"), often(4), trained, resume),
        Case(
            "ensemble",
            ("ensemble", "a", "b", "--method", "weighted", "-o", "submissions/e.csv"),
            often(8),
            # Killed after it wrote the run, the next one is called ensemble-2.
            lambda place: (
                _bytes(place, "submissions/e.csv"),
                {**_origin(place, "e"), "ensemble": None},
            ),
            lambda place: () if not (place / "submissions" / "e.csv").exists() else ("runs",),
        ),
        Case(
            "predict --tta 5",
            ("predict", "a", "--tta", "5", "--force"),
            often(3),
            lambda place: (_bytes(place, "submissions/a.csv"), _origin(place, "a")),
        ),
        Case(
            "evaluate",
            ("evaluate", "a"),
            often(3),
            lambda place: _names(place / "runs/a/figures"),
        ),
        Case(
            "export to LiteRT",
            ("export", "keras", "-o", "exports/lite"),
            often(3),
            lambda place: _names(place / "exports/lite"),
            lambda place: () if not (place / "exports" / "lite").exists() else ("runs",),
        ),
        Case(
            "tune",
            (*tune, "--vary", "learning_rate", "--json"),
            often(3),
            lambda place: (place / "runs/tuning/mlp/best.json").is_file(),
        ),
        Case("remote pull", ("remote", "pull", "far"), often(5), pulled, pull_again),
    ]


def pulled(place: Path) -> Any:
    """Return the files that a pull wrote."""
    run = open_run(place / "runs", "far")
    return figures(run), _bytes(place, "submissions/far.csv"), _push(place)["state"]


def _push(place: Path) -> dict[str, Any]:
    push: dict[str, Any] = json.loads(_bytes(place, "runs/.remote/far/push.json"))
    return push


def figures(run: Run) -> Any:
    """Return everything computed, bit for bit, without the times."""
    metrics = {key: value for key, value in run.metrics().items() if key not in IGNORED}
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in run.read_history()]
    return metrics, str(history), np.nan_to_num(run.oof(), nan=-1).tobytes(), run.test().tobytes()


def _bytes(place: Path, name: str) -> bytes:
    return (place / name).read_bytes()


def _names(folder: Path) -> list[str]:
    """Return the visible file names; temporary files are hidden."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _origin(place: Path, name: str) -> dict[str, Any]:
    origin: dict[str, Any] = json.loads(_bytes(place, f"submissions/{name}.json"))
    return {key: value for key, value in origin.items() if key != "made"}


def _template(place: Path, env: dict[str, str], kaggle: FakeKaggle, runners: Runners) -> Path:
    """Create a folder with data, two runs of an MLP, one Keras run, and one pushed to Kaggle."""
    kaggle.runner = _once(kaggle.runner)
    for words in (
        ("fetch",),
        (*MLP, "--folds", "2", "--name", "a"),
        (*MLP[:3], "--epochs", "4", "--folds", "2", "--name", "b"),
        (*KERAS, "--name", "keras"),
        ("remote", "push", "linear", "--no-gpu", "--folds", "2", "--name", "far"),
    ):
        _must(runners.run(words, place, env))
    _must(runners.run(("remote", "status", "far", "--wait"), place, env))
    return place


def _once(runner: Runner) -> Runner:
    """Run the first script; reuse its output for later ones."""
    kept: list[Session] = []

    def session(request: dict[str, Any]) -> Session:
        if not kept:
            kept.append(runner(request))
            return kept[0]
        return replay(kept[0])(request)

    return session


def _must(ended: Ended) -> Ended:
    if ended.code:
        raise RuntimeError(f"kd {' '.join(ended.words)}: {ended.stderr}")
    return ended


@dataclass
class _Killer:
    """Kill one command many times and check the results."""

    case: Case
    template: Path
    places: Path
    env: dict[str, str]
    runners: Runners
    due: Any = None
    found: Found = field(default_factory=Found)

    def torture(self, seed: int) -> Found:
        """Run all kills at moments drawn with ``seed``."""
        chance, times = random.Random(seed), self.case.times
        alone = _copy(self.template, self.places / "alone")
        seconds = _must(self.runners.run(self.case.words, alone, self.env)).seconds
        self.due = self.case.result(alone)
        # Every other kill falls in the second half of the time, when files are written.
        moments = [
            seconds * (0.5 * (number % 2) + (1 - 0.5 * (number % 2)) * chance.random())
            for number in range(times)
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.one, range(times), moments))
        shutil.rmtree(alone)
        return self.found

    def one(self, number: int, moment: float) -> None:
        """Kill the command once or several times, then run it again."""
        place = _copy(self.template, self.places / str(number))
        for told in self.wrong(place, moment):
            self.found.bad.append(f"{self.case.tried}, killed after {moment:.2f} s: {told}")
        shutil.rmtree(place)

    def wrong(self, place: Path, moment: float) -> Iterator[str]:
        """Yield every difference from the expected state."""
        case, words = self.case, self.case.words
        for _ in range(1 + case.killed_again):
            ended = self.runners.run(words, place, self.env, kill_after=moment)
            self.found.tries += 1
            self.found.killed += ended.killed
            yield from broken(place)
            self.found.half += len(leftovers(place))
            words = (case.again(place) if case.again else ()) or case.words
            moment *= 0.8
        ended = self.runners.run(words, place, self.env)
        if ended.code or not ended.explained:
            yield f"kd {' '.join(words)} ended with {ended.code}: {ended.stderr.strip()[-300:]}"
            return
        yield from broken(place)
        try:
            same = case.result(place) == self.due
        except Exception as error:
            yield f"its result is missing: {error!r}"
            return
        if not same:
            yield "its result differs from the undisturbed run"


def _copy(template: Path, place: Path) -> Path:
    if template.exists():
        shutil.copytree(template, place)
    else:
        place.mkdir(parents=True)
    return place


def _row(case: Case, found: Found) -> Row:
    for told in found.bad:
        print(f"  {told}", flush=True)
    figures = f"{found.killed} killed before they finished"
    if found.half:
        figures += f"; {found.half} hidden temporary files, ignored"
    return Row("kills", f"kd {case.tried}", found.tries, len(found.bad), figures)
