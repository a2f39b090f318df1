"""A slow CreateSubmission, impatient processes with wrong clocks, and a log that disappears.

While Kaggle takes its time, the process that called it is alive, killed or has given up, the log
is damaged, and other processes with short time-outs submit the same file. Kaggle gets it once.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kaggle_digits.kaggle_api.submission_log import LOG_NAME, SENDING, read_log
from tests.robustness.kd import environment, kill, run, start
from tests.robustness.report import Row
from tests.support.clocks import shifted_clock
from tests.support.competition_files import competition_files, data_folder, submission
from tests.support.kaggle_server import FakeKaggle

SECONDS = 5.0  # until Kaggle has carried out CreateSubmission
OWNERS = ("alive", "killed", "gives up")
DAY, YEAR = 86_400, 31_557_600
CLOCKS = (0, DAY, -DAY, 60 * YEAR, -40 * YEAR)
AT_ONCE = 2
SUBMIT = ("submit", "dense-1", "--yes")
LOSSES: dict[str, Callable[[Path], object]] = {
    "kept": lambda log: None,
    "emptied": lambda log: log.write_bytes(b""),
    "deleted": lambda log: log.unlink(),
    "cut": lambda log: log.write_bytes(log.read_bytes().partition(b"\n")[0] + b"\n"),
}


class SlowKaggle(FakeKaggle):
    """A fake Kaggle that takes seconds to submit, and does it also if nobody waits any more."""

    def _create_submission(self, request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(SECONDS)
        return super()._create_submission(request)


def torture_impatience(work: Path, chance: random.Random, quick: bool) -> Iterator[Row]:
    """Yield the row of all owners × all losses of the log."""
    scenes = list(itertools.product(OWNERS, LOSSES))
    scenes = chance.sample(scenes, 2) if quick else scenes
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda scene: _scene(work / "-".join(scene), *scene), scenes))
    bad = [one for told in found for one in told]
    for one in bad:
        print(f"  kd submit, {one}", flush=True)
    tried = "kd submit while a slow one is in progress, wrong clocks, lost logs"
    yield Row("crowd", tried, len(scenes), len([told for told in found if told]))


def _scene(place: Path, owner: str, loss: str) -> list[str]:
    """Return what was wrong."""
    with SlowKaggle(competition_files()) as kaggle:
        env = environment(place / "home", kaggle.environment(place / "home"))
        data_folder(place / "data")
        submission(place / "submissions" / "dense-1.csv")
        timeout = "0.2" if owner == "gives up" else "20"
        first = start((*SUBMIT, "--timeout", timeout), place, env)
        _wait(lambda: kaggle.count("CreateSubmission") > 0)
        if owner == "killed":
            kill(first)
        if owner != "alive":
            first.communicate(timeout=60)
        LOSSES[loss](place / "submissions" / LOG_NAME)
        bad = []
        for shift in itertools.cycle(CLOCKS):
            clock = shifted_clock(place / "home", shift)
            ended = run((*SUBMIT, "--timeout", "0.1"), place, env | clock)
            if not ended.explained or ended.code == 0:
                bad.append(f"clock {shift:+} s: {ended.code} {ended.stderr.strip()[-300:]}")
            if kaggle.submissions:
                break
        first.communicate(timeout=60)
        _wait(lambda: len(kaggle.submissions) == kaggle.count("CreateSubmission"))
        ended = run(SUBMIT, place, env)
        if "were submitted on" not in ended.stderr:
            bad.append(f"at last: {ended.code} {ended.stderr.strip()[-300:]}")
        entries = read_log(place / "submissions")
        if [entry.status == SENDING for entry in entries] != [False]:
            bad.append(f"the log has {[entry.status for entry in entries]}")
        if len(kaggle.submissions) != 1:
            bad.append(f"sent {len(kaggle.submissions)} times")
        return [f"owner {owner}, log {loss}: {one}" for one in bad]


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
