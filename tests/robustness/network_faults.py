"""Network faults: the real ``kd`` and the real clients against failing servers.

Each case is a process of ``kd`` (forked by ``runners``) in a folder of its own with its own fake
Kaggle on the loopback. Time-outs are shortened from 30 s to half a second; many cases run in
parallel.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kaggle_digits.kaggle_api.submission_log import read_log
from kaggle_digits.kaggle_notebooks.push import make_script, pack_source
from tests.robustness.network_cases import SUBMIT, Case, cases
from tests.robustness.network_checks import (
    FILES,
    SECONDS,
    SECRETS,
    Place,
    Verdict,
    attempt,
    check_result,
)
from tests.robustness.report import Row
from tests.robustness.runners import Runners
from tests.support.competition_files import data_folder, submission
from tests.support.kaggle_server import FakeKaggle
from tests.support.kaggle_session import job
from tests.support.kernels import Session, run_script
from tests.support.other_host import OtherHost

AT_ONCE = 10
TENTH = 10
Prepare = Callable[[Place], None]


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield rows for every call × every fault, earlier faults, and redirected credentials."""
    pack_source()  # once, for all forked processes
    with Runners(AT_ONCE) as runners:
        left = left_by_a_session(work / "session")
        with OtherHost() as elsewhere:
            chosen = list(cases(seed, elsewhere.url))
            if quick:
                chosen = random.Random(seed).sample(chosen, len(chosen) // TENTH)

            def one(pair: tuple[int, Case]) -> tuple[Case, Verdict]:
                number, case = pair
                return case, attempt(case, work / f"case{number}", runners, left)

            by_call: dict[str, list[Verdict]] = defaultdict(list)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for case, verdict in pool.map(one, enumerate(chosen)):
                    by_call[str(case.call)].append(verdict)
                    complain(str(case), verdict)
            for call, verdicts in by_call.items():
                yield row(f"{call} × faults", verdicts)
            yield row("before any call", list(odd(work / "odd", runners)))
            heard = elsewhere.requests + [
                one for verdicts in by_call.values() for v in verdicts for one in v.strangers
            ]
            told = sum(any(secret.encode() in one for secret in SECRETS) for one in heard)
            yield Row(
                "network_faults",
                "requests redirected to another host",
                len(heard),
                told,
                f"{told} of them with a credential",
            )


def row(tried: str, verdicts: list[Verdict]) -> Row:
    """Return the row for verdicts of one kind."""
    well = sum(verdict.code == 0 for verdict in verdicts)
    slowest = max((verdict.seconds for verdict in verdicts), default=0.0)
    figures = f"{well} got through, {len(verdicts) - well} explained; slowest {slowest:.1f} s"
    return Row(
        "network_faults", tried, len(verdicts), sum(bool(v.broken) for v in verdicts), figures
    )


def complain(name: str, verdict: Verdict) -> None:
    """Print what was wrong to stderr."""
    if verdict.broken:
        said = f"{name}: {'; '.join(verdict.broken)} | {verdict.line}"
        print(f"BAD {said} ({verdict.seconds:.1f} s)", file=sys.stderr, flush=True)


def left_by_a_session(folder: Path) -> Session:
    """Run the script of ``kd remote push`` once and return the files it leaves."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    request = {"text": make_script(job())}
    session = run_script(request, FILES, folder, layout="digit-recognizer")
    assert session.code == 0, session.stdout
    return session


# Problems before any call, or without a network fault.


def _no_credential(place: Place) -> None:
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        place.env.pop(name)


def _half_a_credential(place: Place) -> None:
    place.env.pop("KAGGLE_KEY")


def _damaged_kaggle_json(place: Place) -> None:
    _no_credential(place)
    folder = Path(place.env["HOME"], ".kaggle")
    folder.mkdir()
    (folder / "kaggle.json").write_text('{"username": "some')


def _wrong_token(place: Place) -> None:
    place.env["KAGGLE_API_TOKEN"] = "wrong"


def _odd_token(place: Place) -> None:
    place.env["KAGGLE_API_TOKEN"] = "KGAT_copied\nwith its line end"


def _odd_key(place: Place) -> None:
    place.env["KAGGLE_KEY"] = "…"


def _no_home(place: Place) -> None:
    (place.folder / "file").write_text("")
    place.env["HOME"] = str(place.folder / "file" / "nothing")


def _odd_proxy(place: Place) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        place.env[name] = "http://me:pass word@127.0.0.1:notaport"


def _nothing_left(place: Place) -> None:
    kaggle = place.kaggle
    kaggle.left = 0
    token = kaggle.answer("StartSubmissionUpload", {"fileName": "earlier.csv"})["token"]
    kaggle.answer("CreateSubmission", {"blobFileTokens": token})


def _rejected(place: Place) -> None:
    place.kaggle.outcome, place.kaggle.error = "ERROR", "Submission must have 28000 rows"


def _never_scored(place: Place) -> None:
    place.kaggle.polls = 10**9
    place.env["KD_KAGGLE_TIMEOUT"] = str(SECONDS / 5)


ODD: dict[
    str, tuple[Prepare, bool | None]
] = {  # and whether it must succeed; None if both are allowed
    "no credential": (_no_credential, False),
    "a name without a key": (_half_a_credential, False),
    "a damaged kaggle.json": (_damaged_kaggle_json, False),
    "a wrong token beside a good key": (_wrong_token, False),
    "a token with its line end": (_odd_token, False),
    "a key with non-ASCII letters": (_odd_key, False),
    "no home": (_no_home, None),
    "an invalid proxy address": (_odd_proxy, False),
    "all well": (lambda place: None, True),
}
ODD_SUBMISSIONS: dict[str, tuple[Prepare, bool | None]] = ODD | {
    "no submission left today": (_nothing_left, False),
    "rejected": (_rejected, False),
    "never scored": (_never_scored, False),
}


def odd(work: Path, runners: Runners) -> Iterator[Verdict]:
    """Run each of them with fetch and submit."""
    for words, kinds in ((("fetch",), ODD), (("submit", "--wait", "--yes"), ODD_SUBMISSIONS)):
        for name, (prepare, due) in kinds.items():
            with FakeKaggle(FILES) as kaggle:
                place = Place(work / f"{words[0]}-{name}", kaggle, runners, "key")
                if words[0] == SUBMIT:
                    data_folder(place.folder / "data")
                    submission(place.submissions / "dense-1.csv")
                prepare(place)
                earlier = len(kaggle.submissions)
                found = check_result(place.kd(*words))
                if due is not None and (found.code == 0) != due:
                    found.broken.append(f"exit code {found.code}")
                confirmed = [e for e in read_log(place.submissions) if e.ref]
                if len(confirmed) != len(kaggle.submissions) - earlier:
                    found.broken.append("the log is wrong")
                complain(f"kd {words[0]}, {name}", found)
                yield found
