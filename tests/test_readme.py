"""README and docs/ are correct: every command in them runs here, in order, on the sample.

Each ``kd fetch`` starts a new folder. The sample has two thirds of its digits. Kaggle is the fake
server of tests/support with the sample's files. Trainings without ``--epochs`` get one or two
epochs, and all MOST epochs, folds and seeds at most; nothing else is changed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sklearn import datasets
from sklearn.utils import Bunch
from typer.testing import CliRunner

from kaggle_digits.cli import submit
from kaggle_digits.cli.main import app
from kaggle_digits.data.dataset import FILES
from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.sources.fetch import fetch
from kaggle_digits.studies import scikit
from kaggle_digits.studies.runner import STUDIES
from kaggle_digits.training.recipes import RECIPES, benchmark_results
from tests.support.fixtures import home
from tests.support.kaggle_server import FakeKaggle
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit

__all__ = ["home"]

ROOT = Path(__file__).parents[1]
GENERATED = {"dependencies.md", "side-by-side.md"}  # written by benchmarks
DOCUMENTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if path.name not in GENERATED
}
README, GUIDE, MODELS = (DOCUMENTS[name] for name in ("README.md", "guide.md", "models.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN_MODULE = re.compile(r"`(\w+\.py)`[^`\n]*\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The first is part of the set-up; tests/app tests the second, which runs until it is stopped.
NOT_RUN = {"source .venv/bin/activate", "kd app"}
PICTURE = "digit.png"
MOST = {"--epochs": 3, "--folds": 2, "--seeds": 2}


def commands(text: str) -> list[str]:
    """Return the lines of all console blocks, without comments."""
    lines = [
        line
        for kind, block in BLOCK.findall(text)
        if kind == "console"
        for line in block.splitlines()
    ]
    return [command for line in lines if (command := line.partition(" #")[0].strip())]


def python_examples(text: str) -> list[str]:
    """Return the blocks of Python, which train two folds for two epochs."""
    examples = [code for kind, code in BLOCK.findall(text) if kind == "python"]
    return [re.sub(r"\b(folds|epochs)=\d+", r"\1=2", code) for code in examples]


def make_targets() -> dict[str, str]:
    """Return the targets of the Makefile with their descriptions."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):.*##\s*(.+)$", makefile, re.MULTILINE))


@pytest.fixture(scope="module", autouse=True)
def fewer_digits() -> Iterator[None]:
    """720 labelled and 480 unlabelled digits in the sample."""
    digits = datasets.load_digits()
    few = Bunch(images=digits.images[:1200], target=digits.target[:1200])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_digits", lambda: few)
        yield


@pytest.fixture(scope="module")
def sample(fewer_digits: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read-only data folder with these digits."""
    folder = tmp_path_factory.mktemp("fewer")
    fetch("sample", folder)
    return folder


@pytest.fixture
def kaggle(sample: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """A fake Kaggle that serves the sample, with a credential and a terminal that confirms."""
    with FakeKaggle({name: (sample / name).read_bytes() for name in FILES}) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KD_KAGGLE_TIMEOUT", "6")
        monkeypatch.setattr(submit, "is_interactive", lambda: True)
        yield server


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_runs(
    document: str,
    kaggle: FakeKaggle,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = DOCUMENTS[document]
    epochs = "2" if document == "guide.md" else "1"  # learning curves need two
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(scikit.SETTINGS, "max_iter", 20)  # epochs of `kd study scikit`
    for number, command in enumerate(commands(text)):
        program, *arguments = shlex.split(command)
        if program == "make":
            assert set(arguments) <= set(make_targets()), f"{command}: no such target"
            continue
        if command in NOT_RUN:
            continue
        assert program == "kd", f"{command}: no test runs this"
        if arguments[0] == "fetch" or number == 0:
            _new_folder(tmp_path / f"{number}", text, sample, monkeypatch)
        is_training = arguments[0] == "train" or arguments[:2] == ["remote", "push"]
        if is_training and not {"--epochs", "--resume"} & set(arguments):
            arguments += ["--epochs", epochs]
        for option, most in MOST.items():
            if option in arguments:
                value = arguments.index(option) + 1
                arguments[value] = str(min(int(arguments[value]), most))
        result = CliRunner().invoke(app, arguments, input="y\n")
        assert result.exit_code == 0, f"{command}: {result.output}"
    if document == "README.md":
        assert kaggle.submissions, "README sends nothing"
    if document in ("guide.md", "lesson.md"):
        for picture in re.findall(r"!\[.+\]\((.+)\)", text):
            assert (ROOT / "docs" / picture).is_file(), picture
            assert list(tmp_path.rglob(Path(picture).name)), f"no command draws {picture}"


def _new_folder(folder: Path, text: str, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a working folder with what the documents assume: an archive, pictures, modules."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    with zipfile.ZipFile(folder / "digit-recognizer.zip", "w") as archive:
        for name in FILES:
            archive.write(sample / name, name)
    draw_digit(4).save(folder / PICTURE)
    write_labelled(folder / "drawings", [1, 4, 7])
    for name, code in OWN_MODULE.findall(text):
        (folder / name).write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)


def test_the_python_example_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = python_examples(README)
    exec(compile(example, "README.md", "exec"), {})
    assert "accuracy=0." in capsys.readouterr().out
    assert (tmp_path / "mine.csv").read_bytes().startswith(b"ImageId,Label\r\n1,")


def test_the_blocks_of_the_python_page_run_in_order(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in python_examples(DOCUMENTS["python.md"]):
        exec(compile(code, "docs/python.md", "exec"), names)
    assert (tmp_path / "submissions" / "dense-1.csv").is_file()
    assert (tmp_path / "runs" / "ensemble-1").is_dir()


def test_commands_are_only_in_console_blocks() -> None:
    for kind, block in BLOCK.findall("".join(DOCUMENTS.values())):
        if kind != "console":
            assert not re.search(r"^\W*(kd|make) [a-z]", block, re.MULTILINE), block


def test_the_command_table_is_complete() -> None:
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `kd (\w+)` \|", table, re.MULTILINE)
    group = typer.main.get_command(app)
    assert sorted(listed) == sorted(group.commands)  # type: ignore[attr-defined]


def test_every_option_in_the_documents_exists() -> None:
    group = typer.main.get_command(app)
    every = [group, *group.commands.values()]  # type: ignore[attr-defined]
    every += [inner for one in every[1:] for inner in getattr(one, "commands", {}).values()]
    params = [option for command in every for option in command.params]
    known = {word for option in params for word in (*option.opts, *option.secondary_opts)}
    known |= {word for option in group.params for word in option.opts} | {"--help"}
    known |= {"--excludes"}  # of uv
    for benchmark in (ROOT / "benchmarks").glob("*.py"):
        known |= set(re.findall(r"add_argument\(\s*\"(--[a-z-]+)", benchmark.read_text()))
    text = "".join(DOCUMENTS.values())
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= known


def test_every_model_and_recipe_is_described() -> None:
    named = set(re.findall(r"`([a-z0-9-]+)`", MODELS))
    assert {*BUILDERS, *RECIPES} <= named


def test_the_measurements_are_those_of_the_benchmark() -> None:
    assert benchmark_results(), "python -m benchmarks.models --write"
    table = subprocess.run(
        [sys.executable, "-m", "benchmarks.models", "--table"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = table.stdout.splitlines()
    assert len(rows) == 2 + len(benchmark_results())
    for row in rows:
        assert row in MODELS


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", *DOCUMENTS])
def test_links_are_valid(page: str) -> None:
    path = ROOT / page if (ROOT / page).is_file() else ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line).strip().replace(" ", "-").lower()
        for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif not link.startswith("https://"):
            assert (path.parent / link.partition("#")[0]).exists(), link


def test_the_readme_is_a_front_page() -> None:
    assert len(README.splitlines()) <= 200
    assert "@@" not in README


def test_contributing_names_targets_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for command in commands(text):
        program, *arguments = shlex.split(command)
        assert program == "make", f"{command}: no test runs this"
        assert set(arguments) <= set(make_targets())


def test_every_study_is_described() -> None:
    described = re.findall(r"^\| `([\w-]+)` \|", DOCUMENTS["studies.md"], re.MULTILINE)
    assert set(STUDIES) <= set(described)
