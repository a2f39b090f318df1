"""README says what is true: every command in it is run here, in order, on the sample.

A ``kd fetch`` begins a folder of its own. Kaggle is the one in tests/support, and it serves the
sample. A training that names no epochs gets one or two; nothing else is changed.
"""

from __future__ import annotations

import re
import shlex
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.models import table
from kaggle_digits.cli import submit
from kaggle_digits.cli.main import app
from kaggle_digits.data.dataset import FILES
from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.studies.catalogue import STUDIES
from kaggle_digits.training.recipes import RECIPES, benchmark_results
from tests.support.fixtures import home
from tests.support.kaggle_server import FakeKaggle
from tests.support.pictures import draw_digit

__all__ = ["home"]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN_MODULE = re.compile(r"`(\w+\.py)`[^`\n]*\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Done by setup, not by us; serves until it is stopped: tests/app.
NOT_RUN = {"source .venv/bin/activate", "kd app"}
PICTURE = "digit.png"


def commands(text: str) -> list[str]:
    """The lines of all console blocks, without comments."""
    lines = [line for kind, block in BLOCK.findall(text) if kind == "console"
             for line in block.splitlines()]  # fmt: skip
    return [bare for line in lines if (bare := line.partition(" #")[0].strip())]


def targets() -> dict[str, str]:
    """make's targets and what is said about them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):.*##\s*(.+)$", makefile, re.MULTILINE))


@pytest.fixture
def kaggle(
    sample: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeKaggle]:
    """A Kaggle whose files are the sample, a credential for it, and somebody who says yes."""
    with FakeKaggle({name: (sample / name).read_bytes() for name in FILES}) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KD_KAGGLE_TIMEOUT", "6")
        monkeypatch.setattr(submit, "is_interactive", lambda: True)
        yield server


def test_every_command_of_the_readme_runs(
    kaggle: FakeKaggle, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_all(README, sample, tmp_path, monkeypatch)
    assert kaggle.submissions, "README sends nothing"


def test_every_command_of_the_guide_runs(
    home: Path, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_all(GUIDE, sample, tmp_path, monkeypatch, epochs="2")  # one draws no curve
    for picture in re.findall(r"!\[.+\]\((.+)\)", GUIDE):
        assert (ROOT / "docs" / picture).is_file(), picture
        assert list(tmp_path.rglob(Path(picture).name)), f"no command of the guide draws {picture}"


def _run_all(
    text: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: str = "1"
) -> None:
    """Run the commands of ``text`` in order."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for number, command in enumerate(commands(text)):
        program, *words = shlex.split(command)
        if program == "make":
            assert set(words) <= set(targets()), f"{command}: the Makefile has no such target"
            continue
        if command in NOT_RUN:
            continue
        assert program == "kd", f"{command}: no test runs this"
        if words[0] == "fetch" or number == 0:
            _new_folder(tmp_path / f"{number}", sample, monkeypatch)
        trains = words[0] == "train" or words[:2] == ["remote", "push"]
        if trains and not {"--epochs", "--resume"} & set(words):
            words += ["--epochs", epochs]
        result = CliRunner().invoke(app, words, input="y\n")
        assert result.exit_code == 0, f"{command}: {result.output}"


def _new_folder(folder: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with what README takes for granted: the archive, a picture, its modules."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    with zipfile.ZipFile(folder / "digit-recognizer.zip", "w") as archive:
        for name in FILES:
            archive.write(sample / name, name)
    draw_digit(4).save(folder / PICTURE)
    for name, code in OWN_MODULE.findall(README):
        (folder / name).write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)


def test_the_library_example_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    modules = {code for _, code in OWN_MODULE.findall(README)}
    examples = [code for kind, code in BLOCK.findall(README)
                if kind == "python" and code not in modules]  # fmt: skip
    assert len(examples) == 1
    exec(compile(examples[0], "README.md", "exec"), {})
    assert "accuracy=0." in capsys.readouterr().out
    assert (tmp_path / "mine.csv").read_bytes().startswith(b"ImageId,Label\r\n1,")


def test_commands_stand_in_no_other_block() -> None:
    for kind, block in BLOCK.findall(README + GUIDE):
        if kind != "console":
            assert not re.search(r"^\W*(kd|make) [a-z]", block, re.MULTILINE), block


def test_every_command_is_in_the_table() -> None:
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `kd (\w+)` \|", table, re.MULTILINE)
    group = typer.main.get_command(app)
    assert sorted(listed) == sorted(group.commands)  # type: ignore[attr-defined]


def test_every_option_that_is_named_exists() -> None:
    group = typer.main.get_command(app)
    every = [group, *group.commands.values()]  # type: ignore[attr-defined]
    every += [inner for one in every[1:] for inner in getattr(one, "commands", {}).values()]
    params = [option for command in every for option in command.params]
    known = {word for option in params for word in (*option.opts, *option.secondary_opts)}
    known |= {word for option in group.params for word in option.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README + GUIDE)) <= known


def test_every_model_and_recipe_is_in_the_table() -> None:
    table = README.partition("## Models")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z0-9-]+)`", table))
    assert {*BUILDERS, *RECIPES} <= named


def test_the_figures_are_those_that_were_measured() -> None:
    assert benchmark_results(), "python -m benchmarks.models --write"
    for row in table():
        assert row in README


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line).strip().replace(" ", "-").lower()
        for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif not link.startswith("https://"):
            assert (ROOT / link.partition("#")[0]).exists(), link


def test_contributing_names_targets_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for command in commands(text):
        program, *words = shlex.split(command)
        assert program == "make", f"{command}: no test runs this"
        assert set(words) <= set(targets())


def test_every_study_is_described() -> None:
    described = re.findall(r"^\| `([\w-]+)` \|", README, re.MULTILINE)
    assert set(STUDIES) <= set(described)
