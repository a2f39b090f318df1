"""Make the notebooks of this folder from notebook.md.j2: ``python docs/make_notebooks.py``.

A fenced block of Python becomes a code cell, the text between two blocks a cell of text.
"""

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
FILES = {"local": "first-submission.ipynb", "kaggle": "kaggle.ipynb", "colab": "colab.ipynb"}
PYTHON = {"display_name": "Python 3", "language": "python", "name": "python3"}


def make(platform: str) -> str:
    """Return the notebook for ``platform``, a key of FILES, as JSON."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("notebook.md.j2").render(platform=platform)
    blocks = re.split(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    kinds = ["markdown", "code"] * len(blocks)
    cells = [(kind, block.strip()) for kind, block in zip(kinds, blocks, strict=False)]
    cells = [(kind, block) for kind, block in cells if block]
    notebook: dict[str, Any] = {
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": PYTHON, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    cell = {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}, "source": lines}
    return cell if kind == "markdown" else cell | {"execution_count": None, "outputs": []}


if __name__ == "__main__":
    for platform, name in FILES.items():
        (FOLDER / name).write_text(make(platform), encoding="utf-8")
