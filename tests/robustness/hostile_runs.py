"""A hostile run folder and every command that reads runs: no code in it is executed.

Each command runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.models.io import SKOPS_FILE
from kaggle_digits.runs.run import Run
from kaggle_digits.sources.fetch import fetch
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train
from tests.robustness.hostile_models import Evil, evil_pickles
from tests.robustness.report import Row
from tests.robustness.runners import Runners

PART = "files"
COMMANDS = (
    ("runs",),
    ("runs", "evil"),
    ("classify", "digit.png", "--run", "evil"),
    ("predict", "evil", "-o", "submissions/again.csv"),
    ("evaluate", "evil"),
    ("evaluate", "evil", "--tta", "5"),
    ("compare", "evil", "good"),
    ("labels", "evil"),
    ("ensemble", "evil", "good", "-o", "submissions/both.csv"),
    ("export", "evil", "--format", "litert"),
    ("train", "--resume", "--name", "evil"),
    ("train", "--model", "linear", "--pseudo", "evil", "--name", "pupil"),
)
# Imports that the fast tests do not need.
QUICK = ("classify", "predict", "train")


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per kind of run."""
    with Runners(1, keras=True) as runners:
        home = Home(workplace(work), runners)
        for what, spoil in SPOILT.items():
            yield attacked(home, what, spoil, quick=quick)
        yield links(home, quick=quick)
        yield trusted(home)


def workplace(work: Path) -> Path:
    """Create a folder with the sample, a picture and a valid run called ``good``."""
    from PIL import Image

    fetch("sample", work / "data")
    dataset = load(work / "data")
    train(dataset, Recipe("linear"), Split(val_fraction=0.3), runs_dir=work / "runs", name="good")
    (work / "submissions").mkdir(exist_ok=True)
    Image.fromarray(255 - dataset.train.images[0]).save(work / "digit.png")
    return work


class Home:
    """A working folder in which kd is run."""

    def __init__(self, path: Path, runners: Runners) -> None:
        self.path, self._runners = path, runners

    def kd(self, *words: str) -> tuple[int, str, str]:
        """Run a command and return its exit code, stdout and stderr."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KD_")}
        kept |= {"HOME": str(self.path), "XDG_CONFIG_HOME": str(self.path / "config")}
        ended = self._runners.run(words, self.path, kept)
        return ended.code, ended.stdout, ended.stderr


def attacked(home: Home, what: str, spoil: Callable[[Run, str], None], *, quick: bool) -> Row:
    """Run every command on a run spoilt in one way."""
    mark, bad, why, refused = home.path / "ran", 0, "", 0
    commands = [words for words in COMMANDS if not quick or words[0] in QUICK]
    for words in commands:
        run = spoilt(home.path, spoil, f"touch '{mark}'")
        code, _, err = home.kd(*words)
        refused += code != 0
        fault = "its code ran" if mark.exists() else ""
        mark.unlink(missing_ok=True)
        if "Traceback" in err or "unexpected" in err or code not in (0, 1, 2):
            fault = fault or f"exit code {code}: {err[-300:]}"
        bad += bool(fault)
        why = why or (fault and f"; kd {' '.join(words)}: {fault}"[:300].replace("\n", " "))
        shutil.rmtree(run.path)
        for made in (
            *home.path.glob("submissions/*"),
            *home.path.glob("runs/pupil*"),
            *home.path.glob("exports/*"),
        ):
            shutil.rmtree(made) if made.is_dir() else made.unlink()
    told = f"{refused} of {len(commands)} commands refused{why}"
    return Row(PART, f"run with {what}", len(commands), bad, told)


def spoilt(home: Path, spoil: Callable[[Run, str], None], command: str) -> Run:
    """Copy the valid run to one called evil and spoil it."""
    path = home / "runs" / "evil"
    shutil.copytree(home / "runs" / "good", path)
    run = Run(path)
    config = run.config()
    run.write_config({**config, "name": "evil"})
    spoil(run, command)
    return run


def _pickle(run: Run, command: str) -> None:
    folder = run.member_folder(0)
    (folder / SKOPS_FILE).unlink()
    (folder / "model.joblib").write_bytes(next(evil_pickles(command)))
    (folder / "model.joblib.signature").write_text("0" * 64)


def _arrays(run: Run, command: str) -> None:
    folder = run.member_folder(0)
    evil = np.array([Evil(command)] * 10, object)
    for path in (run.path / "oof.npy", run.path / "test.npy", folder / "validation.npy"):
        np.save(path, evil, allow_pickle=True)
    for name in ("test.npy", "first_layer.npy"):
        np.save(folder / name, evil, allow_pickle=True)
    np.save(run.path / "pseudo.npy", evil, allow_pickle=True)


def _unfinished(run: Run, command: str) -> None:
    """Remove the trained members and leave a hostile checkpoint."""
    folder = run.member_folder(0)
    for name in ("member.json", SKOPS_FILE):
        (folder / name).unlink()
    (run.path / "metrics.json").unlink()
    pickled = next(evil_pickles(command))
    evil = np.array([Evil(command)], object)
    history = np.array("[]")
    signed = b"pickled by kd, signed " + b"0" * 64 + b"\n" + pickled
    with (folder / "checkpoint.npz").open("wb") as file:
        np.savez(
            file,
            history=history,
            state=np.frombuffer(signed, np.uint8),
            best=np.frombuffer(pickled, np.uint8),
            more=evil,
        )


def _function(run: Run, command: str) -> None:
    """Let the recipe's model be a function of the attacker's module."""
    _unfinished(run, command)
    config = run.config()
    for name in ("model", "recipe"):
        config[name] = "evil_module:build" if name == "model" else {
            **config["recipe"],
            "model": "evil_module:build",
        }  # fmt: skip
    run.write_config({**config, "signature": "0" * 64})
    module = run.path.parents[1] / "evil_module.py"
    module.write_text(f"import os\nos.system({command!r})\n")


SPOILT: dict[str, Callable[[Run, str], None]] = {
    "a pickle as its model": _pickle,
    "pickles in its arrays": _arrays,
    "a pickle in its checkpoint": _unfinished,
    "a recipe that names a function": _function,
}


def links(home: Home, *, quick: bool) -> Row:
    """Check links out of the run: nothing outside is read or overwritten."""
    bad, why, times = 0, "", 0
    outside = home.path / "outside"
    outside.mkdir()
    (outside / "mine.json").write_text(json.dumps({"token": "hidden-words"}))
    for name in ("config.json", "metrics.json", "history.csv", "members", "figures", "report.html",
                 ".lock", "oof.npy", "members/0/model.skops", "extra"):  # fmt: skip
        for words in COMMANDS[1 : 4 if quick else 7]:
            run = spoilt(home.path, lambda run, command: None, "")
            path = run.path / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.symlink_to(outside if name in ("members", "figures") else outside / "mine.json")
            _, out, err = home.kd(*words)
            times += 1
            kept = (outside / "mine.json").read_text()
            fault = (
                "written outside"
                if "hidden-words" not in kept or len(list(outside.iterdir())) > 1
                else ""
            )
            if "hidden-words" in out + err:
                fault = "a file outside was shown"
            if "Traceback" in err or "unexpected" in err:
                fault = fault or err[-300:]
            bad += bool(fault)
            why = why or (fault and f"; {name}, kd {' '.join(words)}: {fault}"[:300])
            shutil.rmtree(run.path)
            for made in home.path.glob("submissions/*"):
                made.unlink()
    return Row(PART, "run with links to files outside", times, bad, why.lstrip("; "))


def trusted(home: Home) -> Row:
    """A pickled model, even the user's own, is read with --trust only."""
    (home.path / "own_models.py").write_text(
        "from sklearn.ensemble import RandomForestClassifier\n\n\n"
        "def forest():\n    return RandomForestClassifier(n_estimators=5)\n"
    )
    tries = [
        (("train", "--model", "own_models:forest", "--name", "own", "--epochs", "1"), 0),
        (("classify", "digit.png", "--run", "own"), 1),
        (("classify", "digit.png", "--run", "own", "--trust"), 0),
    ]
    bad, why = 0, ""
    for words, expected in tries:
        code, _, err = home.kd(*words)
        if code != expected or (expected and "--trust" not in err):
            bad += 1
            why = why or f"kd {' '.join(words)}: {code} {err[-200:]}"
    return Row(PART, "pickled run, with and without --trust", len(tries), bad, why)
