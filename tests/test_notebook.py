"""The notebooks are made of one source, committed without outputs, and run to their ends."""

from __future__ import annotations

import runpy
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_submission
from tests.support.kaggle_server import TOKEN, FakeKaggle

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = runpy.run_path(str(DOCS / "make_notebooks.py"))
FILES: dict[str, str] = MADE["FILES"]
# The first cell for each platform: its folders, variables and modules, or stand-ins for them.
SETUP = {
    "local": """
        import os
        from kaggle_digits.evaluation import evaluate
        from kaggle_digits.plots import style
        evaluate.MOST_SHOWN, evaluate.MOST_EXPLAINED = 6, 3  # as in tests/conftest.py
        style.DPI = style.NOTEBOOK_DPI = 75
        os.chdir({folder!r})
    """,
    "kaggle": """
        import os
        from pathlib import Path
        from kaggle_digits.core import platforms
        platforms.KAGGLE_FOLDER = Path({folder!r})
        os.environ["KAGGLE_KERNEL_RUN_TYPE"] = "Interactive"
        os.chdir(platforms.KAGGLE_FOLDER / "working")
    """,
    "colab": """
        import os, sys
        from types import ModuleType
        del os.environ["KAGGLE_KERNEL_RUN_TYPE"]
        os.environ.update({variables!r})
        os.chdir({folder!r})
        userdata = ModuleType("google.colab.userdata")
        userdata.get = {{"KAGGLE_API_TOKEN": {token!r}}}.__getitem__
        sys.modules["google.colab"] = ModuleType("google.colab")
        sys.modules["google.colab.userdata"] = userdata
    """,
}


def read(platform: str) -> nbformat.NotebookNode:
    return nbformat.read(DOCS / FILES[platform], as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("platform", FILES)
def test_notebook_is_made_from_the_source(platform: str) -> None:
    made = MADE["make"](platform)
    assert (DOCS / FILES[platform]).read_text(encoding="utf-8") == made, (
        "run python docs/make_notebooks.py"
    )
    assert "pip install kaggle-digits" not in made  # the name is registered nowhere
    assert "{%" not in made


@pytest.mark.parametrize("platform", FILES)
def test_notebook_has_no_outputs_and_explains_each_cell(platform: str) -> None:
    notebook = read(platform)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert cells
    assert not [cell.id for cell in cells if cell.outputs or cell.execution_count is not None]
    for code, explanation in zip(notebook.cells[1:], notebook.cells, strict=False):
        if code.cell_type == "code" and explanation.cell_type == "code":
            assert len(code.source.splitlines()) < 8, f"{code.id} is not explained"


@pytest.fixture(scope="module")
def executed(
    sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, list[nbformat.NotebookNode]]]:
    """For each platform, its folder and the executed code cells; one kernel for all saves time.

    Kaggle's input and its server have the sample's digits.
    """
    folders = {platform: tmp_path_factory.mktemp(platform) for platform in FILES}
    (folders["kaggle"] / "working").mkdir()
    (folders["kaggle"] / "input").mkdir()
    (folders["kaggle"] / "input" / "digit-recognizer").symlink_to(sample)
    files = {path.name: path.read_bytes() for path in sample.glob("*.csv")}
    whole, cells_of = nbformat.v4.new_notebook(), {}
    with FakeKaggle(files) as server:
        variables = server.environment(folders["colab"], credential="none")
        for platform, folder in folders.items():
            values = {"folder": str(folder), "variables": variables, "token": TOKEN}
            setup = textwrap.dedent(SETUP[platform]).format(**values)
            cells = code_cells(read(platform))
            if cells[0].source.startswith("%pip install"):
                del cells[0]
            for cell in cells:  # shorter than with the competition's rows
                cell.source = cell.source.replace("folds=3), epochs=10", "folds=2), epochs=1")
                if platform != "local":  # the first one shows folds and that the report is written
                    cell.source = cell.source.replace("kd.Split(folds=2), ", "")
                    cell.source = cell.source.replace("print(run.evaluate().report)", "")
            whole.cells += [nbformat.v4.new_code_cell(setup), *cells]
            cells_of[platform] = cells
        NotebookClient(whole, timeout=300, kernel_name="python3").execute()
    return {platform: (folders[platform], cells) for platform, cells in cells_of.items()}


@pytest.mark.parametrize("platform", FILES)
def test_notebook_runs_and_ends_with_plots(
    platform: str, executed: dict[str, tuple[Path, list[nbformat.NotebookNode]]]
) -> None:
    folder, cells = executed[platform]
    data, path = folder / "data", folder / "submissions" / "dense-1.csv"
    if platform == "kaggle":
        data, path = folder / "input" / "digit-recognizer", folder / "working" / "submission.csv"
        assert (folder / "working" / "runs" / "dense-1" / "metrics.json").is_file()
        assert not (folder / "working" / "data").exists()
    assert len(read_submission(path, load(data).ids)) == 719
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    printed = "".join(out.text for out in outputs if out.output_type == "stream")
    assert "a valid submission" in printed
    assert "absl" not in printed
    assert str(folder) not in printed.replace(f"{folder}/working/", "")
    assert "arning" not in printed
    assert TOKEN not in nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    images = ["image/png" in out.get("data", {}) for cell in cells[-4:] for out in cell.outputs]
    assert images == [True] * 4
    tables = [out.data["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert any("dense-1" in table for table in tables)
