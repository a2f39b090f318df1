"""What a user meets when Kaggle fails: the real ``kd`` against a Kaggle on the loopback.

Run: python -m benchmarks.kaggle_faults > faults.md
Each row is one ``kd fetch`` or ``kd submit --wait --yes`` in a process of its own, with a fault
injected into one of its calls. Time-outs are cut from 30 s to 1 s, so that all takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.competition.log import read_log
from tests.fakes.competition_files import competition_files, data_folder, submission
from tests.fakes.kaggle_server import KEY, TOKEN, FakeKaggle, Fault

TIMEOUT = "1"
ALWAYS = 99
FETCH, SUBMIT = "fetch", "submit"


@dataclass(frozen=True)
class Case:
    """One row: a command, the call that fails, how, and how often in a row."""

    command: str
    call: str
    fault: Fault | None
    times: int = ALWAYS
    words: str = ""
    prepare: Callable[[FakeKaggle, Path], dict[str, str | None]] | None = None

    @property
    def injected(self) -> str:
        """For the table."""
        if self.words:
            return self.words
        assert self.fault is not None
        kind, status = self.fault.kind, self.fault.status
        what = {
            "status": f"{status}",
            "html": f"{status} with a web page",
            "drop": f"connection reset after {self.fault.at} bytes",
            "lost": "carried out, then connection reset",
            "silent": "no answer, for ever",
            "trickle": "one byte each 50 ms",
            "truncated": "half a JSON",
            "short": "half the bytes, as if whole",
            "loop": "redirects to itself",
            "no-ref": "200 without a ref",
            "refused": "an address nobody listens at",
        }[kind]
        headers = "".join(f", {name}: {value}" for name, value in self.fault.headers)
        often = "always" if self.times == ALWAYS else f"{self.times}×"
        return f"{self.call}: {what}{headers}, {often}"


def status(code: int, words: str = "Kaggle's words", **headers: str) -> Fault:
    """A JSON error."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Fault("status", code, words, pairs)


def no_credential(_: FakeKaggle, home: Path) -> dict[str, str | None]:
    return {"KAGGLE_USERNAME": None, "KAGGLE_KEY": None}


def damaged_kaggle_json(_: FakeKaggle, home: Path) -> dict[str, str | None]:
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "kaggle.json").write_text('{"username": "some')
    return {"KAGGLE_USERNAME": None, "KAGGLE_KEY": None}


def bad_token(_: FakeKaggle, home: Path) -> dict[str, str | None]:
    return {"KAGGLE_API_TOKEN": "wrong"}


def refuse(kaggle: FakeKaggle, _: Path) -> dict[str, str | None]:
    kaggle.stop()
    return {}


def no_home(_: FakeKaggle, home: Path) -> dict[str, str | None]:
    (home / "file").write_text("")
    return {"HOME": str(home / "file" / "nothing")}


def nothing_left(kaggle: FakeKaggle, _: Path) -> dict[str, str | None]:
    kaggle.left = 0
    kaggle._create_submission(
        {
            "blobFileTokens": kaggle.answer("StartSubmissionUpload", {"fileName": "earlier.csv"})[
                "token"
            ]
        }
    )
    return {}


def rejected(kaggle: FakeKaggle, _: Path) -> dict[str, str | None]:
    kaggle.outcome, kaggle.error = "ERROR", "Submission must have 28000 rows"
    return {}


def never_scored(kaggle: FakeKaggle, _: Path) -> dict[str, str | None]:
    kaggle.polls = 10**9
    return {"KD_KAGGLE_TIMEOUT": "0.2"}


HOUR = status(429, Retry_After="3600")
CASES = [
    Case(FETCH, "", None, words="nothing: all is well"),
    Case(FETCH, "", None, words="no credential", prepare=no_credential),
    Case(FETCH, "", None, words="damaged kaggle.json", prepare=damaged_kaggle_json),
    Case(FETCH, "", None, words="wrong token beside a good key", prepare=bad_token),
    Case(FETCH, "", None, words="no home folder can be made", prepare=no_home),
    Case(FETCH, "", None, words="connection refused", prepare=refuse),
    *[
        Case(FETCH, "ListDataFiles", fault, times)
        for fault, times in [
            (status(401), ALWAYS),
            (status(403), ALWAYS),
            (status(404), ALWAYS),
            (status(408), ALWAYS),
            (status(429), 2),
            (status(429), ALWAYS),
            (status(429, Retry_After="1"), 1),
            (HOUR, ALWAYS),
            (status(500), 2),
            (status(500), ALWAYS),
            (Fault("html", 502), ALWAYS),
            (Fault("html", 200), ALWAYS),
            (Fault("truncated"), ALWAYS),
            (Fault("drop", at=30), 1),
            (Fault("drop", at=30), ALWAYS),
            (Fault("silent"), 1),
            (Fault("silent"), ALWAYS),
            (Fault("trickle"), ALWAYS),
            (Fault("loop"), ALWAYS),
        ]
    ],
    Case(FETCH, "DownloadDataFile", status(403)),
    *[
        Case(FETCH, "blob", fault, times)
        for fault, times in [
            (Fault("drop", at=50_000), 2),
            (Fault("drop", at=50_000), ALWAYS),
            (Fault("short"), 1),
            (Fault("short"), ALWAYS),
            (Fault("silent"), ALWAYS),
            (Fault("html", 200), ALWAYS),
            (status(404), ALWAYS),
            (status(503), ALWAYS),
        ]
    ],
    Case(SUBMIT, "", None, words="nothing: all is well"),
    Case(SUBMIT, "", None, words="no credential", prepare=no_credential),
    Case(SUBMIT, "", None, words="connection refused", prepare=refuse),
    Case(SUBMIT, "", None, words="no submission left today", prepare=nothing_left),
    Case(SUBMIT, "GetSubmissionLimits", status(401)),
    Case(SUBMIT, "GetSubmissionLimits", status(403)),
    Case(SUBMIT, "GetSubmissionLimits", status(500)),
    Case(SUBMIT, "StartSubmissionUpload", status(500), 2),
    Case(SUBMIT, "StartSubmissionUpload", Fault("silent")),
    Case(SUBMIT, "StartSubmissionUpload", Fault("refused")),
    Case(SUBMIT, "upload", status(500), 1),
    Case(SUBMIT, "upload", status(500)),
    Case(SUBMIT, "upload", status(403)),
    Case(SUBMIT, "upload", Fault("silent")),
    *[
        Case(SUBMIT, "CreateSubmission", fault, 1)
        for fault in [
            status(400, "Your team has used its daily Submission allowance (limit 10)"),
            status(403),
            status(429),
            HOUR,
            status(500),
            Fault("html", 502),
            Fault("html", 200),
            Fault("no-ref"),
            Fault("silent"),
            Fault("drop", at=10),
            Fault("lost"),
            Fault("truncated"),
        ]
    ],
    Case(SUBMIT, "GetSubmission", status(500), 2),
    Case(SUBMIT, "GetSubmission", status(500)),
    Case(SUBMIT, "GetSubmission", Fault("html", 200)),
    Case(SUBMIT, "", None, words="ends in ERROR", prepare=rejected),
    Case(SUBMIT, "", None, words="never scored", prepare=never_scored),
]


def main() -> int:
    """Print the table; exit 1 if any row breaks a promise."""
    print("| command | injected | exit | s | last line the user sees | afterwards |")
    print("| --- | --- | --- | --- | --- | --- |")
    broken = 0
    for case in CASES:
        code, seconds, line, left, promises = run(case)
        broken += bool(promises)
        note = "".join(f" **{promise}**" for promise in promises)
        cells = (f"kd {case.command}", case.injected, code, f"{seconds:.1f}", line, left + note)
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |", flush=True)
    print(f"\n{len(CASES)} rows, {broken} broken promises (time-out {TIMEOUT} s, of 30 by default)")
    return 1 if broken else 0


def run(case: Case) -> tuple[int, float, str, str, list[str]]:
    """Exit code, seconds, last line, what is left, and which promises were broken."""
    with tempfile.TemporaryDirectory() as folder, FakeKaggle(competition_files()) as kaggle:
        place, home = Path(folder), Path(folder) / "home"
        home.mkdir()
        command = [sys.executable, "-m", "kaggle_digits", case.command, "--data-dir", "data"]
        if case.command == SUBMIT:
            data_folder(place / "data")
            submission(place / "submissions" / "dense-1.csv")
            command += ["--wait", "--yes"]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KAGGLE_", "KD_")) and not name.lower().endswith("_proxy")
        }
        env = clean | kaggle.environment(home) | {"KD_KAGGLE_TIMEOUT": TIMEOUT}
        env["PYTHONPATH"] = str(Path(__file__).parents[1])
        for name, value in (case.prepare(kaggle, home) if case.prepare else {}).items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        if case.fault is not None:
            kaggle.fail(case.call, case.fault, times=case.times)
        earlier = len(kaggle.submissions)
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=place, env=env, capture_output=True, text=True, timeout=180, check=False
        )
        seconds = time.monotonic() - began
        left = on_disk(place) if case.command == FETCH else logged(place, kaggle, earlier)
        promises = broken_promises(case, done, place, len(kaggle.submissions) - earlier)
        shown = done.stdout if done.returncode == 0 else done.stderr
        return done.returncode, seconds, (shown.strip().splitlines() or [""])[-1], left, promises


def on_disk(place: Path) -> str:
    """What stands in data/."""
    due = competition_files()
    found = {path.name: path.read_bytes() for path in sorted((place / "data").glob("*.csv"))}
    states = [
        f"{name} {'whole' if due[name] == content else 'BROKEN'}" for name, content in found.items()
    ]
    parts = [f"{path.name} kept" for path in sorted((place / "data").glob(".fetch/*.part"))]
    return ", ".join(states + parts) or "no file"


def logged(place: Path, kaggle: FakeKaggle, earlier: int) -> str:
    """What log.csv says, and what Kaggle has."""
    entries = [f"{e.status} ref {e.ref}" for e in read_log(place / "submissions")]
    sent = len(kaggle.submissions) - earlier
    return f"log: {', '.join(entries) or 'empty'}; Kaggle has {sent}"


def broken_promises(
    case: Case, done: subprocess.CompletedProcess[str], place: Path, sent: int
) -> list[str]:
    """What must hold whatever happens."""
    found = []
    if "Traceback" in done.stderr + done.stdout:
        found.append("traceback")
    if KEY in done.stderr + done.stdout or TOKEN in done.stderr + done.stdout:
        found.append("credential shown")
    if done.returncode and done.stdout:
        found.append("chatter on stdout")
    if done.returncode not in (0, 1):
        found.append("exit code")
    if sum(line.startswith("error:") for line in done.stderr.splitlines()) != done.returncode:
        found.append("not one line of error")
    if "BROKEN" in on_disk(place):
        found.append("broken file")
    if case.command == SUBMIT:
        entries = read_log(place / "submissions")
        confirmed = [entry for entry in entries if entry.status != "sending"]
        if sent > 1:
            found.append("sent twice")
        if len(confirmed) > sent or (sent and not entries):
            found.append("log is not true")
    elif done.returncode == 0:
        record = json.loads((place / "data" / "source.json").read_text())
        if record["source"] != "kaggle":
            found.append("source not recorded")
    return found


if __name__ == "__main__":
    sys.exit(main())
