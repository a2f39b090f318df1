"""Plant secrets everywhere, run every command in success and failure, and search all output.

Searched are stdout and stderr (with and without --debug), every file written below the working,
home and temporary folder, and every request body sent to Kaggle.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kaggle_digits.kaggle_notebooks.push import pack_source
from tests.robustness.network_cases import PULL, PUSH, STATUS, SUBMIT, faults
from tests.robustness.network_checks import COMMANDS, FILES
from tests.robustness.network_faults import left_by_a_session
from tests.robustness.report import Row
from tests.robustness.runners import Runners, clean
from tests.robustness.secrets_planted import (
    OTHER,
    PLACES,
    PROXY,
    PROXY_QUOTED,
    everywhere,
    leaks,
    searched,
)
from tests.support.competition_files import submission
from tests.support.kaggle_server import FakeKaggle
from tests.support.kernels import Session, replay
from tests.support.other_host import OtherHost
from tests.support.pictures import draw_digit, encode

AT_ONCE, EACH_THIRD = 6, 3
SIGNING_IN = {"IntrospectToken", "GenerateAccessToken"}  # their bodies contain the credential
CALLS = {
    "doctor": ("ListDataFiles", "IntrospectToken", "GenerateAccessToken"),
    "fetch": ("ListDataFiles", "DownloadDataFile", "blob", "IntrospectToken"),
    SUBMIT: ("StartSubmissionUpload", "upload", "CreateSubmission", "GetSubmission"),
    PUSH: ("SaveKernel",),
    STATUS: ("GetKernelSessionStatus", "GetKernel"),
    PULL: ("ListKernelSessionOutput", "blob"),
}
WORDS = {**COMMANDS, "doctor": ("doctor", "--json"), "fetch": ("fetch", "--force")}
# Commands without network access, on Kaggle's files; each is followed by a failing variant.
AT_HOME: tuple[tuple[str, ...], ...] = (
    *(("inspect",), ("inspect", "--data-dir", "nothing")),
    *(("train", "--model", "linear", "--folds", "2", "--name", "a"), ("train", "--model", "no")),
    ("train", "--model", "linear", "--folds", "2", "--seed", "1", "--name", "b"),
    ("train", "--model", "softmax", "--epochs", "1", "--val-fraction", "0.5", "--name", "k"),
    *(("runs",), ("runs", "a"), ("runs", "--json"), ("runs", "nothing")),
    *(("evaluate", "a"), ("evaluate", "nothing")),
    *(("predict", "a", "-o", "submissions/c.csv"), ("predict", "../a")),
    *(("ensemble", "a", "b", "-o", "submissions/d.csv"), ("ensemble", "a", "nothing")),
    *(("compare", "a", "b"), ("compare", "a", "nothing")),
    *(("labels", "a"), ("labels", "nothing")),
    *(("classify", "seven.png", "--run", "a"), ("classify", "nothing.png", "--run", "a")),
    *(("study", "scikit", "--quick"), ("study", "nothing"), ("demo",), ("recipes",)),
    *(("export", "a"), ("export", "k"), ("--version",)),
    ("tune", "--model", "linear", "--trials", "1", "--storage", "sqlite:///trials.db"),
    ("tune", "--model", "linear", "--trials", "1"),  # with the storage from the variable
    ("tune", "--model", "linear", "--storage", "nothing://me:st0rage%25Pass@127.0.0.1/x"),
    ("tune", "--model", "linear", "--storage=postgresql://me:st0rage%25Pass@[127.0.0.1/x"),
    ("train", "--model", "linear", "--folds", "2", "--executor", "ray", "--address", "127.0.0.1:9"),
    *(("doctor", "--offline"), ("remote", "push", "linear", "-o", "script.py")),
    ("app", "--port", "0", "--run", "nothing"),
)
ODD_VARIABLES: tuple[dict[str, str], ...] = (
    {"HTTP_PROXY": f"http://me:{PROXY_QUOTED}@127.0.0.1:notaport"},
    {"HTTP_PROXY": f"http://me:{PROXY}@127.0.0.1:8080"},  # a / in it would end the host name
    {"HTTP_PROXY": f"http://me:{PROXY_QUOTED}@127.0.0.1:9"},
    {"HTTP_PROXY": f"socks9://me:{PROXY_QUOTED}@127.0.0.1:9"},
    {"HTTP_PROXY": f"http://me:{PROXY_QUOTED}@[::1"},
    {"KAGGLE_API_TOKEN": f"{OTHER}\n"},
    {"KAGGLE_API_TOKEN": f"{OTHER}…"},
    {"KAGGLE_API_TOKEN": OTHER},
    {"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": f"{OTHER}…", "KAGGLE_API_TOKEN": ""},
)


@dataclass
class Searched:
    """What was run and searched for one place of a secret."""

    runs: int = 0
    failures: int = 0
    files: int = 0
    size: int = 0
    found: list[str] = field(default_factory=list)

    def search(self, where: str, content: bytes) -> None:
        self.size += len(content)
        for secret in leaks(content):
            self.found.append(where)
            print(f"BAD {where} holds {secret[:4]}…", file=sys.stderr, flush=True)


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per place of a Kaggle credential, with all commands that call Kaggle."""
    pack_source()
    places = list(PLACES)
    if quick:
        places = random.Random(seed).sample(places, 2)
    with Runners(AT_ONCE, keras=True) as runners, OtherHost() as elsewhere:
        left = left_by_a_session(work / "session")

        def one(name: str) -> Searched:
            number = list(PLACES).index(name)
            rng = random.Random(seed + number)
            # A third of the faults per place, another third for the next: all are covered.
            spot = Spot(work / f"place{number}", name, runners, left, number % EACH_THIRD)
            return spot.all(rng, elsewhere.url, quick=quick, at_home=name == places[0])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, found in zip(places, pool.map(one, places), strict=True):
                figures = (
                    f"{found.failures} of them failures; searched: {found.files} files, "
                    f"{found.size / 1e6:.0f} MB"
                )
                yield Row("secrets", f"in {name}", found.runs, len(found.found), figures)
        away = Searched()
        for heard in elsewhere.requests:
            away.search("data sent to another host", heard)
        yield Row("secrets", "requests to another host", len(elsewhere.requests), len(away.found))


def _unproxied(heard: bytes) -> bytes:
    """Return the request without the proxy header, which contains the proxy's password."""
    lines = heard.split(b"\n")
    return b"\n".join(one for one in lines if not one.lower().startswith(b"proxy-authorization:"))


class Spot:
    """A working folder in which ``kd`` runs with planted secrets."""

    def __init__(
        self, folder: Path, name: str, runners: Runners, left: Session, first: int
    ) -> None:
        """Use every third fault, starting with number ``first``."""
        self._folder, self._name, self._runners, self._left = folder, name, runners, left
        self._first = first
        self._searched = Searched()
        self._env: dict[str, str] = {}

    def all(self, rng: random.Random, elsewhere: str, *, quick: bool, at_home: bool) -> Searched:
        """Run everything and return the findings."""
        home = self._folder / "home"
        (self._folder / "tmp").mkdir(parents=True)
        home.mkdir()
        with FakeKaggle(FILES) as kaggle:
            kaggle.runner = replay(self._left)
            self._env = clean(home, KD_KAGGLE_TIMEOUT="0.2", TMPDIR=str(self._folder / "tmp"))
            self._env |= kaggle.environment(home, credential="none") | everywhere(kaggle)
            self._env |= PLACES[self._name](home)
            for command, calls in CALLS.items():
                self._with_kaggle(kaggle, command, calls, rng, elsewhere, few=quick)
            for more in ODD_VARIABLES[self._first :: 4 if quick else EACH_THIRD]:
                lower = {name.lower(): value for name, value in more.items() if "PROXY" in name}
                self._kd("doctor", "--debug", **more, **lower)
                self._kd("fetch", "--force", "--debug", **more, **lower)
                self._kd("fetch", "--source", "openml", "--data-dir", "o", "--debug", **more)
            if at_home:
                (self._folder / "seven.png").write_bytes(encode(draw_digit(7)))
                for words in AT_HOME[:: 6 if quick else 1]:
                    self._kd(*words)
                    self._kd(*words, "--debug")
            for heard in kaggle.foreign_requests:
                self._searched.search(f"{self._name}: sent to another host", _unproxied(heard))
            for call in kaggle.calls:
                if call.method not in SIGNING_IN:
                    self._searched.search(f"{self._name}: the body of {call.method}", call.body)
        for path, content in searched(self._folder):
            self._searched.files += 1
            self._searched.search(f"{self._name}: {path.relative_to(self._folder)}", content)
        return self._searched

    def _with_kaggle(
        self,
        kaggle: FakeKaggle,
        command: str,
        calls: tuple[str, ...],
        rng: random.Random,
        elsewhere: str,
        *,
        few: bool,
    ) -> None:
        words = WORDS[command]
        if command == SUBMIT:
            submission(self._folder / "submissions" / "dense-1.csv")
        if command not in (SUBMIT, PUSH, PULL):
            self._kd(*words)
        elif command == PULL:
            for versions in kaggle.notebooks.values():
                versions[-1].done.wait(60)
            kaggle.page = 100
        found = [
            one for one in faults(rng, elsewhere, is_file=False).values() if one.kind != "gone"
        ]
        for fault in found[self._first :: 8 if few else EACH_THIRD]:
            kaggle.fail(rng.choice(calls), fault, times=99)
            self._kd(*words, "--debug")
            kaggle.clear_faults()
        if command in (SUBMIT, PUSH, PULL):  # last, because these commands cannot be repeated
            self._kd(*words, "--debug")

    def _kd(self, *words: str, **more: str) -> None:
        ended = self._runners.run(words, self._folder, self._env | more, kill_after=60)
        self._searched.runs += 1
        self._searched.failures += ended.code != 0
        line = f"{self._name}: kd {' '.join(words)}"
        if ended.killed:
            self._searched.found.append(line)
            print(f"BAD {line}: not finished in time", file=sys.stderr, flush=True)
        self._searched.search(f"{line} (stdout)", ended.stdout.encode(errors="surrogateescape"))
        self._searched.search(f"{line} (stderr)", ended.stderr.encode(errors="surrogateescape"))
