"""Eight processes in one folder: each succeeds or explains the conflict, and nothing is mixed up.

Afterwards the files are checked: every run is the one that its process reported, every submission
has its own record, and submissions/log.csv lists every submission that Kaggle received, once.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kaggle_digits.data.submission_csv import read_origin
from kaggle_digits.kaggle_api.submission_log import SENDING, read_log
from kaggle_digits.runs.store import list_runs, open_run
from tests.robustness.file_integrity import broken
from tests.robustness.impatient_submit import torture_impatience
from tests.robustness.kd import Ended, environment
from tests.robustness.report import Row
from tests.robustness.runners import Runners
from tests.support.competition_files import competition_files, submission
from tests.support.kaggle_server import FakeKaggle

AT_ONCE = 8
TRAIN = ("train", "--model", "mlp", "--epochs", "4")
TUNE = ("tune", "--model", "mlp", "--folds", "2", "--epochs", "1", "--vary", "learning_rate")
TRIALS = 10


class Crowd:
    """A folder in which several processes run at the same time, and their output."""

    def __init__(self, place: Path, kaggle: FakeKaggle, runners: Runners) -> None:
        self.place, self.kaggle, self.runners = place, kaggle, runners
        self.env = environment(place.parent / "home", kaggle.environment(place.parent / "home"))
        # Eight processes on two cores respond slowly.
        self.env["KD_KAGGLE_TIMEOUT"] = "20"

    def run(self, words: tuple[str, ...], *, kill_after: float | None = None) -> Ended:
        """Run one command."""
        return self.runners.run(words, self.place, self.env, kill_after=kill_after)

    def alone(self, *words: str) -> Ended:
        """Run one command that must succeed."""
        ended = self.run(words)
        assert ended.code == 0, ended.stderr
        return ended

    def at_once(self, commands: Sequence[tuple[str, ...]]) -> list[Ended]:
        """Start all commands together."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(self.run, commands))

    def ill(self, ended: Sequence[Ended]) -> list[str]:
        """Return unexpected results and damaged files."""
        found = [
            f"kd {' '.join(one.words)}: {one.code} {one.stderr.strip()[-200:]}"
            for one in ended
            if not one.explained
        ]
        return found + broken(self.place) + list(self.unlogged()) + list(self.mixed())

    def unlogged(self) -> Iterator[str]:
        """Return differences between the log and Kaggle's list."""
        entries, sent = read_log(self.place / "submissions"), self.kaggle.submissions
        if any(entry.status == SENDING for entry in entries):
            yield "a submission is logged as being sent"
        if sorted(e.message for e in entries) != sorted(s.description for s in sent):
            yield f"{len(sent)} sent, {len(entries)} logged"

    def mixed(self) -> Iterator[str]:
        """Return submissions whose record belongs to another one."""
        for path in (self.place / "submissions").glob("*.csv"):
            if path.name != "log.csv" and read_origin(path) is None:
                yield f"{path.name} has the record of another"


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield the rows of this part."""
    with (
        Runners(AT_ONCE) as runners,
        FakeKaggle(competition_files(n_train=200), left=100) as kaggle,
    ):
        crowd = Crowd(work / "place", kaggle, runners)
        crowd.alone("fetch")
        crowd.alone(*TRAIN, "--folds", "2", "--name", "a")
        crowd.alone(*TRAIN[:3], "--epochs", "3", "--folds", "2", "--name", "b")
        scenes: list[tuple[str, Callable[[Crowd, random.Random], list[str]]]] = [
            ("train, all without a name", trained),
            ("train --name same", one_name),
            ("train --name a --force", forced),
            ("train --resume", resumed),
            ("predict RUN, other --tta", predicted),
            ("predict -o FILE --force", backup_existing),
            ("ensemble", ensembled),
            ("submit: 4 files and 4 times a fifth", submitted),
            ("fetch --force", fetched),
            (f"tune, one study of {TRIALS} trials", tuned),
            ("train, predict, submit, fetch, tune, evaluate, all together", together),
        ]
        for name, scene in scenes[-1:] if quick else scenes:
            bad = scene(crowd, random.Random(seed))
            for told in bad:
                print(f"  {name}: {told}", flush=True)
            yield Row("crowd", f"{AT_ONCE} × kd {name}", AT_ONCE, len(bad))
    yield from torture_impatience(work / "impatient", random.Random(seed), quick)


def trained(crowd: Crowd, chance: random.Random) -> list[str]:
    """Train eight seeds: eight runs, each with its own seed and submission."""
    before = {run.name for run in list_runs(crowd.place / "runs")}
    words = [(*TRAIN, "--seed", str(seed), "--json") for seed in range(AT_ONCE)]
    ended = crowd.at_once(words)
    bad = crowd.ill(ended)
    names = set()
    for seed, one in enumerate(ended):
        if one.code:
            bad.append(f"seed {seed} was refused: {one.stderr}")
            continue
        said = json.loads(one.stdout)
        names.add(said["run"])
        run = open_run(crowd.place / "runs", said["run"])
        if run.config()["seed"] != seed or run.metrics()["val_loss"] != said["val_loss"]:
            bad.append(f"run {run.name} is not that of seed {seed}")
    if len(names - before) != AT_ONCE:
        bad.append(f"{len(names)} names for {AT_ONCE} runs")
    return bad


def one_name(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that one process trains and seven report that the name is taken."""
    ended = crowd.at_once([(*TRAIN, "--name", "same")] * AT_ONCE)
    return crowd.ill(ended) + _exactly(1, ended)


def forced(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that every finished run exists, under its name or backed up."""
    ended = crowd.at_once([(*TRAIN, "--name", "b", "--folds", "2", "--force")] * AT_ONCE)
    done = sum(one.code == 0 for one in ended)
    standing = [run for run in list_runs(crowd.place / "runs") if run.name.startswith("b")]
    bad = crowd.ill(ended) + [f"{run.name} is not finished" for run in standing if not run.finished]
    if len(standing) != 1 + done or not done:
        bad.append(f"{len(standing)} runs exist of {1 + done}")
    return bad


def resumed(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that one process resumes and the others report that, or find the run finished."""
    words = (*TRAIN, "--folds", "4", "--epochs", "20", "--name", "cut")
    crowd.run(words, kill_after=1.5)
    if not (crowd.place / "runs" / "cut" / "config.json").exists():
        return []
    ended = crowd.at_once([("train", "--resume", "--name", "cut")] * AT_ONCE)
    bad = crowd.ill(ended)
    if all(one.code for one in ended):
        bad.append("no process could resume")
    return bad


def predicted(crowd: Crowd, chance: random.Random) -> list[str]:
    """Let all processes write one file, one after the other."""
    views = [chance.choice(("1", "5", "9")) for _ in range(AT_ONCE)]
    ended = crowd.at_once([("predict", "a", "--tta", number, "--force") for number in views])
    return crowd.ill(ended) + _exactly(AT_ONCE, ended)


def backup_existing(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that the first file is backed up, once: the others write the same predictions."""
    first = submission(crowd.place / "submissions" / "mine.csv", first=3).read_bytes()
    words = ("predict", "a", "-o", "submissions/mine.csv", "--force")
    ended = crowd.at_once([words] * AT_ONCE)
    files = list((crowd.place / "submissions").glob("mine*.csv"))
    bad = crowd.ill(ended) + _exactly(AT_ONCE, ended)
    if len(files) != 2 or first not in [path.read_bytes() for path in files]:
        bad.append(f"{len(files)} files of 2: the first one and the predictions")
    return bad


def ensembled(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that eight ensembles write eight files."""
    methods = [("mean", "vote", "weighted", "stack")[number % 4] for number in range(AT_ONCE)]
    ended = crowd.at_once([("ensemble", "a", "b", "--method", one, "--json") for one in methods])
    files = [json.loads(one.stdout)["submission"] for one in ended if not one.code]
    bad = crowd.ill(ended)
    for method, file in zip(methods, files, strict=False):
        origin = read_origin(crowd.place / file)
        if origin is None or origin.method != method:
            bad.append(f"{file} is not by {method}")
    if len(set(files)) != AT_ONCE:
        bad.append(f"{len(set(files))} files of {AT_ONCE}")
    return bad


def submitted(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that five files are sent once each."""
    folder, before = crowd.place / "submissions", len(crowd.kaggle.submissions)
    for number in range(5):
        submission(folder / f"s{number}.csv", run="a", first=number + 1)
    words = [("submit", f"s{min(number, 4)}", "--yes") for number in range(AT_ONCE)]
    ended = crowd.at_once(words)
    bad = crowd.ill(ended) + _exactly(5, ended)
    sent = [hashlib.sha256(s.content).hexdigest() for s in crowd.kaggle.submissions[before:]]
    if len(sent) != 5 or len(set(sent)) != 5:
        bad.append(f"{len(sent)} sent, {len(set(sent))} different")
    return bad


def fetched(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that one process fetches and the others report that, or fetch after it."""
    ended = crowd.at_once([("fetch", "--force")] * AT_ONCE)
    due = competition_files(n_train=200)
    bad = crowd.ill(ended)
    if all(one.code for one in ended):
        bad.append("no process could fetch")
    return bad + [
        f"{name} is another"
        for name, content in due.items()
        if (crowd.place / "data" / name).read_bytes() != content
    ]


def tuned(crowd: Crowd, chance: random.Random) -> list[str]:
    """Check that all processes together make the requested number of trials."""
    words = (*TUNE, "--trials", str(TRIALS), "--name", "crowd", "--json")
    ended = crowd.at_once([words] * AT_ONCE)
    bad = crowd.ill(ended) + _exactly(AT_ONCE, ended)
    told = json.loads(crowd.alone(*words).stdout)["trials"]
    done = [one for one in told if one["state"] in ("finished", "pruned")]
    if len(done) != TRIALS:
        bad.append(f"{len(done)} trials of {TRIALS}")
    return bad


def together(crowd: Crowd, chance: random.Random) -> list[str]:
    """Run one command of each kind together."""
    submission(crowd.place / "submissions" / "last.csv", run="a", first=7)
    words: list[tuple[str, ...]] = [
        (*TRAIN, "--folds", "2"),
        (*TRAIN, "--folds", "2", "--seed", "1"),
        ("predict", "a", "--tta", "9"),
        ("submit", "last", "--yes"),
        ("fetch", "--force"),
        (*TUNE, "--trials", "3", "--name", "together"),
        ("evaluate", "a"),
        ("ensemble", "a", "b"),
    ]
    return crowd.ill(crowd.at_once(words))


def _exactly(number: int, ended: Sequence[Ended]) -> list[str]:
    done = sum(one.code == 0 for one in ended)
    if done == number:
        return []
    said = {one.stderr.strip().splitlines()[-1] for one in ended if one.code}
    return [f"{done} succeeded of {number}: {said}"]
