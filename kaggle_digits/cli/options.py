"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="KD_DATA_DIR", help="Folder of the three CSV files.")
]
RunsDir = Annotated[
    Path, typer.Option("--runs-dir", envvar="KD_RUNS_DIR", help="Folder of the trained runs.")
]
SubmissionsDir = Annotated[
    Path,
    typer.Option(
        "--submissions-dir", envvar="KD_SUBMISSIONS_DIR", help="Folder of the submission files."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

Svg = Annotated[bool, typer.Option("--svg", help="Save each picture as SVG, too.")]

Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="The CSV file to write.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Put a file that stands there aside.")]

DATA, RUNS, SUBMISSIONS = Path("data"), Path("runs"), Path("submissions")
