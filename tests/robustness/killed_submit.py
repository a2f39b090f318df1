"""Kill ``kd submit`` with SIGKILL: a submission is sent once, and logged if and only if sent."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from kaggle_digits.kaggle_api.submission_log import SENDING, read_log
from tests.robustness.file_integrity import broken
from tests.robustness.kd import environment
from tests.robustness.report import Row
from tests.robustness.runners import Runners
from tests.support.competition_files import competition_files, data_folder, submission
from tests.support.kaggle_server import FakeKaggle

AT_ONCE, TIMES, MOST_TRIES = 4, 20, 8
# The fake Kaggle waits this long before and after each action, so that kills fall in between.
PAUSE = 0.15
TIMEOUT = 2.0  # of kd, in seconds
UNKNOWN = "not known whether it arrived"


class SlowKaggle(FakeKaggle):
    """A fake Kaggle that responds slowly."""

    def answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Respond after a pause."""
        time.sleep(PAUSE)
        answer = super().answer(method, request)
        time.sleep(PAUSE)
        return answer


def torture_submit(
    work: Path, chance: random.Random, runners: Runners, *, quick: bool
) -> Iterator[Row]:
    """Yield the row of ``kd submit``."""
    times = TIMES // 10 if quick else TIMES
    seconds, _ = _once(runners, work / "alone", None)
    moments = [seconds * (number + chance.random()) / times for number in range(times)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = [work / str(number) for number in range(times)]
        ended = list(pool.map(partial(_once, runners), places, moments))
    bad = [
        f"killed after {moment:.2f} s: {one}"
        for moment, (_, told) in zip(moments, ended, strict=True)
        for one in told
    ]
    for one in bad:
        print(f"  kd submit {one}", flush=True)
    yield Row("kills", "kd submit, then again until it says it is sent", times, len(bad))


def _once(runners: Runners, place: Path, moment: float | None) -> tuple[float, list[str]]:
    """Return the seconds of the first call and every wrong result."""
    with SlowKaggle(competition_files()) as kaggle:
        env = environment(place / "home", kaggle.environment(place / "home"))
        env["KD_KAGGLE_TIMEOUT"] = str(TIMEOUT)
        data_folder(place / "data")
        submission(place / "submissions" / "dense-1.csv")
        words: tuple[str, ...] = ("submit", "dense-1", "--yes")
        ended = runners.run(words, place, env, kill_after=moment)
        time.sleep(4 * PAUSE)  # wait until requests in flight have arrived
        bad = [*broken(place), *_untrue(place, kaggle, finished=False)]
        for _ in range(MOST_TRIES):
            again = runners.run(words, place, env)
            if not again.explained:
                bad.append(again.stderr.strip()[-300:])
            if again.code == 0 or "were submitted on" in again.stderr:
                break
            if UNKNOWN in again.stderr:  # nothing is in flight any more, so --force is right
                words = (*words, "--force")
        bad += [*broken(place), *_untrue(place, kaggle, finished=True)]
        return ended.seconds, bad


def _untrue(place: Path, kaggle: FakeKaggle, *, finished: bool) -> Iterator[str]:
    entries, sent = read_log(place / "submissions"), kaggle.submissions
    confirmed = [entry for entry in entries if entry.status != SENDING]
    if len(sent) > 1:
        yield f"sent {len(sent)} times"
    if {entry.ref for entry in confirmed} - {one.ref for one in sent}:
        yield "logged without having been sent"
    if not {one.description for one in sent} <= {entry.message for entry in entries}:
        yield "sent, and not in the log"
    if finished and (len(sent), len(confirmed)) != (1, 1):
        yield f"not sent in the end: {len(sent)} at Kaggle, log {entries}"
