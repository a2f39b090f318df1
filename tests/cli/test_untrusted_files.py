"""Run folders and recipe files from others: no code runs, no markup is interpreted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from kaggle_digits.core import trust
from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train
from tests.robustness.hostile_runs import SPOILT, _pickle, spoilt
from tests.robustness.hostile_words import WORDS, _hostile, shown
from tests.support.commands import kd


@pytest.fixture(scope="module")
def made(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    dataset = load(sample)
    train(dataset, Recipe("linear"), Split(val_fraction=0.3), runs_dir=folder / "runs", name="good")
    Image.fromarray(255 - dataset.train.images[0]).save(folder / "digit.png")
    return folder


@pytest.fixture
def home(made: Path, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("KD_DATA_DIR", str(sample))
    monkeypatch.setenv(trust.VARIABLE, "")  # restored after the test
    return tmp_path / "home"


def test_pickles_need_trust(home: Path) -> None:
    mark = home / "ran"
    spoilt(home, _pickle, f"touch '{mark}'")
    done = kd("classify", "digit.png", "--run", "evil")
    assert done.exit_code == 1
    assert "is a pickle, which runs code" in done.stderr
    assert not mark.exists()
    assert kd("classify", "digit.png", "--run", "evil", "--trust").exit_code == 1
    assert mark.exists(), "--trust allows it"


@pytest.mark.parametrize("what", SPOILT)
def test_resuming_an_untrusted_run_executes_nothing(what: str, home: Path) -> None:
    mark = home / "ran"
    spoilt(home, SPOILT[what], f"touch '{mark}'")
    done = kd("train", "--resume", "--name", "evil")
    assert not mark.exists(), done.stderr
    assert "unexpected" not in done.stderr
    if "function" in what:
        assert done.exit_code == 1
        assert "would run the code of evil_module:build" in done.stderr
        assert "add --trust" in done.stderr


# Commands that read the models of the run called evil.
READERS = (
    ("predict", "evil", "-o", "again.csv"),
    ("evaluate", "evil", "--tta", "5"),
    ("export", "evil"),
    ("classify", "digit.png", "--run", "evil"),
    ("app", "--run", "evil"),
)


@pytest.mark.parametrize("what", ["Lambda", "Scale"])
def test_code_of_a_keras_model_needs_trust(what: str, home: Path) -> None:
    """A Lambda layer has its code in the file; a class of the author's is in a module."""
    from kaggle_digits.models.backend import keras
    from kaggle_digits.models.base import KerasClassifier, Normalizer

    k, mark = keras(), home / "ran"
    layer = k.layers.Lambda(eval(f"lambda x: (__import__('os').system({f'touch {mark}'!r}), x)[1]"))
    call = lambda self, x: x  # noqa: E731
    if what == "Scale":
        layer = type("Scale", (k.layers.Layer,), {"__module__": "evil_layers", "call": call})()
    body = k.Sequential([k.layers.Flatten(), layer, k.layers.Dense(10)])
    run = spoilt(home, lambda run, command: None, "")
    (run.member_folder(0) / "model.skops").unlink()
    KerasClassifier.wrap(body, Normalizer("unit")).save(run.member_folder(0))
    mark.unlink(missing_ok=True)  # building the layer called it
    text = f"import os\nimport keras\nos.system({f'touch {mark}'!r})\n"
    Path("evil_layers.py").write_text(f"{text}\n\nclass Scale(keras.layers.Layer):\n")
    with Path("evil_layers.py").open("a") as file:
        file.write("    def call(self, x):\n        return x\n")
    for words in READERS:
        done = kd(*words)
        assert done.exit_code == 1, (words, done.output)
        assert f"needs {what}, which runs code while it is read" in done.stderr
        assert "add --trust" in done.stderr
        assert not mark.exists(), words
    done = kd("predict", "evil", "-o", "again.csv", "--trust")
    assert done.exit_code == 0, done.stderr
    assert mark.exists(), "--trust allows it"


def test_a_replayed_config_runs_no_module(home: Path) -> None:
    """The config and recipe of a published run, beside another module of the same name."""
    mark = home / "ran"
    run = spoilt(home, SPOILT["a recipe that names a function"], f"touch '{mark}'")
    recipe = run.config()["recipe"]
    Path("recipe.json").write_text(json.dumps(recipe))
    ensemble = {"name": "both", "folds": 2, "designs": [recipe, recipe]}
    Path("ensemble.json").write_text(json.dumps(ensemble))
    Path("linked.py").symlink_to("evil_module.py")
    Path("linked.json").write_text(json.dumps({**recipe, "model": "linked:build"}))
    commands = [("train", "--resume"), ("train", "--resume", "--name", "evil")]
    commands += [("runs", "evil"), ("predict", "evil"), ("app", "--run", "evil")]
    for file in ("recipe.json", "ensemble.json", "linked.json"):
        commands += [("train", "--recipe", file), ("tune", "--recipe", file)]
        commands += [("inspect", "--recipe", file), ("remote", "push", file, "--dry-run")]
        commands += [("train", "--recipe", file, "--model", "linear")]
    for words in commands:
        done = kd(*words)
        assert not mark.exists(), words
        assert (done.exit_code == 0) == (words[0] == "runs"), (words, done.output)


def test_recipe_file_with_custom_model_needs_trust(home: Path) -> None:
    from kaggle_digits.training.recipe import write_recipe_file

    (home / "own.py").write_text("from sklearn.naive_bayes import GaussianNB as model\n")
    Path("theirs.json").write_text(json.dumps({"model": "own:model"}))
    done = kd("train", "--recipe", "theirs.json", "--name", "a")
    assert done.exit_code == 2
    assert "training would run the code of own:model" in done.stderr
    assert "kd train --recipe theirs.json --model own:model" in done.stderr
    assert "add --trust" in done.stderr
    write_recipe_file(Path("mine.json"), Recipe("own:model"))
    assert kd("train", "--recipe", "mine.json", "--name", "b").exit_code == 2
    # Naming the function is consent to run it.
    named = ("train", "--recipe", "mine.json", "--model", "own:model", "--name", "b")
    assert kd(*named).exit_code == 0
    other = ("train", "--recipe", "mine.json", "--model", "own:other", "--name", "e")
    assert kd(*other).exit_code == 2
    assert kd("train", "--recipe", "theirs.json", "--name", "c", "--trust").exit_code == 0
    # --trust holds for that command only.
    assert kd("train", "--recipe", "theirs.json", "--name", "d").exit_code == 2


@pytest.mark.parametrize("word", WORDS[:6])
def test_text_of_untrusted_runs_is_escaped(word: str, home: Path) -> None:
    run = spoilt(home, lambda run, command: None, "")
    _hostile(run, word)
    (home / "runs" / f"a{word[:60]}".replace("/", "_")).mkdir()
    (home / "runs" / f"a{word[:60]}".replace("/", "_") / "config.json").write_text("{}")
    for words in (("runs",), ("runs", "evil"), ("runs", "evil", "--json")):
        done = kd(*words)
        assert not shown(done.stdout, done.stderr), words
    if "script" in word:
        assert kd("evaluate", "evil").exit_code == 0
        page = (run.path / "report.html").read_text()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert" in page
    if "bold" in word:
        assert "[bold red]not[/bold red]" in kd("runs", "evil").stdout
