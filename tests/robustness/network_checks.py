"""Run one case: a folder, a failing fake Kaggle, ``kd``, and checks of the result."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from kaggle_digits.kaggle_api.submission_log import (
    COMPLETE,
    SENDING,
    LogEntry,
    read_log,
    update_log,
)
from kaggle_digits.kaggle_notebooks import push_record
from tests.robustness.kd import Ended
from tests.robustness.network_cases import FETCH, OPENML, PULL, PUSH, STATUS, SUBMIT, Case
from tests.robustness.runners import Runners, clean
from tests.support.competition_files import competition_files, data_folder, submission
from tests.support.kaggle_server import KEY, REFRESH, TOKEN, USERNAME, FakeKaggle
from tests.support.kernels import Session, replay
from tests.support.openml_server import FakeOpenML

SECONDS, SECONDS_OF_OPENML = 0.5, 0.1  # time-out in seconds, instead of 30
MOST_SECONDS = 40.0
RUN = "far"
BASIC = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
SECRETS = (KEY, TOKEN, REFRESH, BASIC)
# Every message must name a next step; these patterns recognise one.
NEXT = re.compile(r"kd \w|https://|again|try |look at|pip install|--\w|wait |; run |; set ")
FILES = competition_files()


@dataclass
class Verdict:
    """The problems found, the last line that ``kd`` printed, and its exit code."""

    code: int
    seconds: float
    line: str
    broken: list[str] = field(default_factory=list)
    strangers: list[bytes] = field(default_factory=list)  # requests redirected to another host


def login(home: Path) -> None:
    """Write what ``kaggle auth login`` leaves, with an expired access token."""
    (home / ".kaggle").mkdir(parents=True, exist_ok=True)
    kept = {"refresh_token": REFRESH, "access_token": "", "username": USERNAME, "scopes": []}
    (home / ".kaggle" / "credentials.json").write_text(json.dumps(kept))


class Place:
    """A working folder, its home and its fake Kaggle."""

    def __init__(self, folder: Path, kaggle: FakeKaggle, runners: Runners, credential: str) -> None:
        self.folder, self.kaggle, self._runners = folder, kaggle, runners
        home = folder / "home"
        home.mkdir(parents=True)
        if credential == "login":
            login(home)
        self.env = clean(home, KD_KAGGLE_TIMEOUT=str(SECONDS))
        self.env |= kaggle.environment(home, credential=credential)
        self.openml: str | None = None

    def kd(self, *words: str) -> Ended:
        return self._runners.run(
            words, self.folder, self.env, kill_after=MOST_SECONDS, openml=self.openml
        )

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def submissions(self) -> Path:
        return self.folder / "submissions"


COMMANDS = {
    FETCH: ("fetch",),
    OPENML: ("fetch", "--source", "openml"),
    SUBMIT: ("submit", "--wait", "--yes"),
    PUSH: ("remote", "push", "linear", "--no-gpu", "--folds", "2", "--name", RUN),
    STATUS: ("remote", "status", RUN),
    PULL: ("remote", "pull", RUN),
}


def attempt(case: Case, folder: Path, runners: Runners, left: Session) -> Verdict:
    """Prepare, break, run and check; then repair, run again and check again."""
    if case.call.command == OPENML:
        return _openml(case, folder, runners)
    with FakeKaggle(FILES) as kaggle:
        kaggle.runner = replay(left)
        place = Place(folder, kaggle, runners, case.call.credential)
        _prepare(case, place)
        kaggle.fail(case.call.name, case.fault, times=case.times)
        ended = place.kd(*COMMANDS[case.call.command])
        found = check_result(ended, recoverable=case.recoverable)
        found.broken += _true(case.call.command, ended, place)
        found.strangers += kaggle.foreign_requests
        kaggle.clear_faults()
        if case.fault.kind == "gone":
            kaggle.listen(kaggle.port)
        if case.call.command in (SUBMIT, PUSH, PULL):
            found.broken += _ends_well(case.call.command, place)
        return found


def check_result(ended: Ended, *, recoverable: bool = False) -> Verdict:
    """Return the violations of what must hold for every command."""
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    shown = lines or ended.stdout.strip().splitlines() or [""]
    found = Verdict(ended.code, ended.seconds, shown[-1])
    said = ended.stdout + ended.stderr
    if ended.killed:
        found.broken.append(f"not done after {MOST_SECONDS:.0f} s")
    elif ended.code not in (0, 1):
        found.broken.append(f"exit code {ended.code}")
    if "Traceback" in said or "unexpected" in said:
        found.broken.append("not explained")
    if any(secret in said for secret in SECRETS):
        found.broken.append("credential shown")
    if len(lines) != (ended.code != 0):
        found.broken.append(f"{len(lines)} lines of error")
    if lines and not NEXT.search(lines[-1]):
        found.broken.append("no next step")
    if ended.code and ended.stdout:
        found.broken.append("unexpected output on stdout")
    if recoverable and ended.code:
        found.broken.append("not retried successfully")
    return found


def _prepare(case: Case, place: Place) -> None:
    command = case.call.command
    if command in (SUBMIT, PULL):
        data_folder(place.folder / "data")
    if command == SUBMIT:
        submission(place.submissions / "dense-1.csv")
    if case.call.name == "ListSubmissions":
        lost = LogEntry(
            *("2026-11-20T10:00:00+00:00", "old.csv", "0" * 64, "old", None, None, None),
            *(SENDING, None, "words [kd 0123456789abcdef]"),
        )
        update_log(place.submissions, lambda entries: [*entries, lost])
    if command in (STATUS, PULL):
        pushed = place.kd(*COMMANDS[PUSH])
        assert pushed.code == 0, pushed
        for versions in place.kaggle.notebooks.values():
            versions[-1].done.wait(60)
        place.kaggle.page = 100


def _true(command: str, ended: Ended, place: Place) -> list[str]:
    """Check that files are complete or absent, and that success means it was done."""
    broken = _files(place, FILES, finished=ended.code == 0 and command == FETCH)
    if command == SUBMIT:
        entries, sent = read_log(place.submissions), len(place.kaggle.submissions)
        confirmed = [e for e in entries if e.status != SENDING]
        if sent > 1:
            broken.append("sent twice")
        if len(confirmed) > sent:
            broken.append("logged but not sent")
        if sent and not entries:
            broken.append("sent but not logged")
        if ended.code == 0 and not (sent and "0.98765" in ended.stdout):
            broken.append("success without a score")
    versions = sum(map(len, place.kaggle.notebooks.values()))
    if command == PUSH:
        pushed = push_record.read(place.runs, RUN)
        if versions > 1:
            broken.append("pushed twice")
        if pushed is None and versions:
            broken.append("pushed but not recorded")
        if pushed and pushed.state == push_record.PUSHED and not versions:
            broken.append("recorded but not pushed")
        if ended.code == 0 and not (pushed and versions):
            broken.append("success without a notebook")
    if command == STATUS and ended.code == 0 and "complete" not in ended.stdout:
        broken.append("another state was printed")
    if command == PULL:
        broken += _run_is_whole(place, due=ended.code == 0)
    return broken


def _files(place: Place, due: dict[str, bytes] | None, *, finished: bool) -> list[str]:
    data = place.folder / "data"
    found = {path.name: path.read_bytes() for path in data.glob("*.csv")}
    broken = [f"{name} broken" for name, content in found.items() if due and content != due[name]]
    if finished and (len(found) != 3 or not (data / "source.json").is_file()):
        broken.append("success without the files")
    return broken


def _run_is_whole(place: Place, *, due: bool) -> list[str]:
    """Check that a pulled run is identical to the session's files, or absent."""
    run = place.runs / RUN
    if not run.is_dir():
        return ["success without a run"] if due else []
    session = next(iter(place.kaggle.notebooks.values()))[-1].session
    assert session is not None
    told = json.loads(session.files["kd-manifest.json"])["files"]
    broken = []
    for name, facts in told.items():
        path = run / name
        if not path.is_file() or (name != "config.json" and path.stat().st_size != facts["bytes"]):
            broken.append(f"{name} of the run is not complete")
    return broken


def _ends_well(command: str, place: Place) -> list[str]:
    """Check that the same command succeeds once Kaggle works again, without doing it twice."""
    if command == PUSH:
        versions = sum(map(len, place.kaggle.notebooks.values()))
        if push_record.read(place.runs, RUN) is None:
            again = place.kd(*COMMANDS[PUSH])
            return [] if again.code == 0 and versions == 0 else ["cannot be pushed again"]
        status = place.kd(*COMMANDS[STATUS])
        fine = status.code == (0 if versions else 1)
        return [] if fine else [f"the fate of the push is not reported: {status.stderr}"]
    more: tuple[str, ...] = ()
    for _ in range(8):
        named = ("dense-1.csv",) if command == SUBMIT and place.kaggle.submissions else ()
        again = place.kd(*COMMANDS[command], *named, *more)
        if command == PULL:
            if again.code == 0 or "already exists" in again.stderr:
                return _run_is_whole(place, due=True)
            return [f"cannot be pulled later: {again.stderr}"]
        entries = read_log(place.submissions)
        sent = len(place.kaggle.submissions)
        if sent == 1 and [e.status for e in entries if e.status != SENDING] == [COMPLETE]:
            return []
        if "not known whether it arrived" in again.stderr:
            more = ("--force",)  # the server is idle, so it never arrived
    return [f"{sent} sent, log: {[e.status for e in entries]}, {again.stderr[-200:]}"]


def _openml(case: Case, folder: Path, runners: Runners) -> Verdict:
    with FakeOpenML(rows=50) as server, FakeKaggle(FILES) as kaggle:
        place = Place(folder, kaggle, runners, "none")
        place.env = clean(folder / "home", KD_KAGGLE_TIMEOUT=str(SECONDS_OF_OPENML))
        place.openml = server.url
        server.fail(case.call.name, case.fault, times=case.times)
        ended = place.kd(*COMMANDS[OPENML])
        found = check_result(ended)
        found.broken += _files(place, None, finished=ended.code == 0)
        names = {path.name for path in (folder / "data").glob("*.csv")}
        if len(names) not in (0, 3):
            found.broken.append(f"only {sorted(names)}")
        return found
