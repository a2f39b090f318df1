"""The example notebook is committed without outputs and runs to its end."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_submission

PATH = Path(__file__).parents[1] / "docs" / "first-submission.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(PATH, as_version=4)


def test_notebook_has_no_outputs_and_explains_each_cell(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not [cell.id for cell in cells if cell.outputs or cell.execution_count is not None]
    for code, explanation in zip(notebook.cells[1:], notebook.cells, strict=False):
        if code.cell_type == "code" and explanation.cell_type == "code":
            assert len(code.source.splitlines()) < 8, f"{code.id} is not explained"


def test_notebook_runs_and_ends_with_plots(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    path = tmp_path / "submissions" / "dense-1.csv"
    assert len(read_submission(path, load(tmp_path / "data").ids)) == 719
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    printed = "".join(out.text for out in outputs if out.output_type == "stream")
    assert "a valid submission" in printed
    assert "absl" not in printed
    assert str(tmp_path) not in printed
    assert "arning" not in printed
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    images = ["image/png" in out.get("data", {}) for cell in cells[-4:] for out in cell.outputs]
    assert images == [True] * 4
    tables = [out.data["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert any("dense-1" in table for table in tables)
