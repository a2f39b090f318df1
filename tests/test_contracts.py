"""docs/contracts.md is what the program does: commands, options, keys of --json, files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import typer

from kaggle_digits.cli.main import app
from kaggle_digits.imaging.labelled_folder import save_drawing
from kaggle_digits.runs.run import Run
from tests.support import small_runs
from tests.support.commands import kd
from tests.support.competition_files import data_folder
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import FakeKaggle
from tests.support.pictures import draw_digit

__all__ = ["home", "kaggle"]

PAGE = Path(__file__).parents[1] / "docs" / "contracts.md"
COMMAND_LINE, JSON, RUN_FOLDER, OTHER_FILES = re.split(
    r"^## .+$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
)[1:]
# Commands that train for minutes or ask Kaggle; their own tests check --json.
NOT_RUN = {"kd submit", "kd tune", "kd reproduce", "kd remote push", "kd remote status"}
NOT_RUN |= {"kd remote pull"}


def table(text: str) -> dict[str, list[list[str]]]:
    """Return the rows of all tables of a section: the words in backquotes of each later column."""
    rows = re.findall(r"^\| `(.+?)` \|(.+)\|$", text, re.MULTILINE)
    found: dict[str, list[list[str]]] = {}
    for first, rest in rows:
        found[first] = [re.findall(r"`([^`]+)`", cell) for cell in rest.split("|")]
    return found


def all_commands(group: Any, prefix: str = "kd") -> Iterator[tuple[str, click.Command]]:
    """Yield the name and the command of each one that --help shows, and `kd runs show`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, f"{prefix} {name}")
        elif not command.hidden or name == "show":
            yield f"{prefix} {name}", command


def described_name(argument: Any) -> str:
    """Return an argument as --help shows it; a table cell cannot contain the | between two."""
    name = argument.metavar.replace("|", " or ") + "…" * (argument.nargs == -1)
    return name if argument.required else f"[{name}]"


def test_commands_and_options_are_those_of_the_program() -> None:
    described = table(COMMAND_LINE)
    actual = {}
    for name, command in all_commands(typer.main.get_command(app)):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]  # type: ignore[attr-defined]
        actual[name] = [
            [described_name(p) for p in arguments],
            sorted(max(p.opts, key=len) for p in options),
        ]
    assert described == actual


def keys(value: object, prefix: str = "") -> set[str]:
    """Return all keys of parsed JSON as the page writes them: a.b, a[].b."""
    if isinstance(value, dict):
        inner = (keys(one, f"{prefix}{key}.") for key, one in value.items())
        return {f"{prefix}{key}" for key in value}.union(*inner)
    if isinstance(value, list):
        return set[str]().union(*(keys(one, f"{prefix[:-1]}[].") for one in value))
    return set()


@pytest.fixture(scope="module")
def outputs(
    trained_run: Run, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """The keys that each command prints with --json, on small data."""
    folder = tmp_path_factory.mktemp("contracts")
    data, runs = small_runs.write_data(folder / "data"), folder / "runs"
    folders = ["--data-dir", data, "--runs-dir", runs]
    submissions = ["--submissions-dir", folder / "submissions"]
    dense = ["--data-dir", sample, "--runs-dir", trained_run.path.parent]
    train = ["train", "--model", "mlp", "--widths", "8", "--epochs", "1", *folders, *submissions]
    assert kd(*train, "--folds", "2", "--name", "c", "--batch-size", "64").exit_code == 0
    draw_digit(4).save(folder / "digit.png")
    picture = [folder / "digit.png", "--run", "dense", *dense[2:]]
    arguments: dict[str, list[Any]] = {
        "kd fetch": ["fetch", "--source", "sample", "--data-dir", folder / "fetched"],
        "kd train": [*train, "--folds", "2", "--name", "a"],
        "kd train --seeds": [*train, "--seeds", "2", "--name", "b"],
        "kd inspect": ["inspect", "--data-dir", data],
        "kd runs": ["runs", *folders[2:], *submissions],
        "kd runs show": ["runs", "show", "a", *folders[2:], *submissions],
        "kd evaluate": ["evaluate", "a", *folders],
        "kd compare": ["compare", "a", "c", *folders],
        "kd labels": ["labels", "a", *folders],
        "kd show": ["show", "2", "--run", "a", *folders],
        "kd predict": ["predict", "a", "--force", *folders, *submissions],
        "kd ensemble": ["ensemble", "a", "c", *folders, *submissions],
        "kd classify": ["classify", *picture],
        "kd classify --why": ["classify", "--why", *picture],
        "kd classify --all": ["classify", "--all", *picture],
        "kd export": ["export", "dense", "--output", folder / "out.keras", *dense],
        "kd publish": ["publish", "dense", "--output", folder / "published", *dense],
        "kd recipes": ["recipes"],
        "kd study": ["study"],
        "kd submissions": ["submissions", "--offline", *submissions],
        "kd doctor": ["doctor", "--offline", "--data-dir", data],
    }
    found = {}
    for name, words in arguments.items():
        done = kd(*words, "--json")
        assert done.exit_code == 0, f"{name}: {done.output}"
        content = json.loads(done.stdout)
        if name == "kd recipes":
            content = {"NAME": content["dense"]}
        found[name] = keys(content, "" if isinstance(content, dict) else ".")
    return found


def test_every_command_with_json_is_described(outputs: dict[str, set[str]]) -> None:
    with_json = {name for name, (_, options) in table(COMMAND_LINE).items() if "--json" in options}
    assert with_json - NOT_RUN <= set(table(JSON))
    assert set(table(JSON)) == set(outputs)


@pytest.mark.parametrize("command", table(JSON))
def test_keys_of_json(command: str, outputs: dict[str, set[str]]) -> None:
    (described,) = table(JSON)[command]
    assert set(described) <= outputs[command]
    top = {re.split(r"[.\[]", key)[0] for key in outputs[command]}
    assert top == {re.split(r"[.\[]", key)[0] for key in described}


def test_run_folder(trained_run: Run) -> None:
    described = table(RUN_FOLDER)
    for file, columns in described.items():
        path = trained_run.path / file.replace("K", "0")
        if path.suffix == ".json":
            actual = keys(json.loads(path.read_text(encoding="utf-8")))
            assert set(columns[0]) <= actual, file
        elif path.suffix == ".csv":
            assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == columns[0]
        elif path.suffix == ".npy":
            array = np.load(path)
            assert (array.dtype, array.shape[1:]) == (np.float32, (10,))
        else:
            assert path.is_file(), file


def test_other_files(kaggle: FakeKaggle, tmp_path: Path) -> None:
    folders = [
        "--data-dir",
        data_folder(tmp_path / "data", n_train=200),
        "--runs-dir",
        tmp_path / "runs",
    ]
    folders += ["--submissions-dir", tmp_path / "submissions"]
    train = ["train", "--model", "mlp", "--widths", "8", "--epochs", "1", "--name", "NAME"]
    for words in (train, ["submit", "NAME", "--yes"]):
        done = kd(*words, *folders)
        assert done.exit_code == 0, done.output
    done = kd("labels", "NAME", *folders[:4])
    assert done.exit_code == 0, done.output
    (tmp_path / "runs" / "NAME").rename(tmp_path / "runs" / "RUN")
    drawing = tmp_path / "drawings"
    draw_digit(4).save(tmp_path / "4.png")
    save_drawing(drawing, (tmp_path / "4.png").read_bytes(), 4)
    for file, (columns,) in table(OTHER_FILES).items():
        with (tmp_path / file).open(encoding="utf-8", newline="") as content:
            assert next(csv.reader(content)) == columns, file
