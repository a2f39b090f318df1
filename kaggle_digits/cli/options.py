"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

DATA, RUNS, SUBMISSIONS = Path("data"), Path("runs"), Path("submissions")
TIMEOUT = 30.0
OUTPUT_PANEL = "Folders and output"


def option(help_text: str, *names: str, panel: str | None = None, **settings: Any) -> Any:
    """Return a typer.Option whose default is not shown; its name is that of the parameter.

    Flags need ``names``, because typer would add --no-FLAG.
    """
    settings = {"show_default": False, **settings}
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **settings)


def _folder(help_text: str, name: str, variable: str) -> Any:
    return option(help_text, name, panel=OUTPUT_PANEL, envvar=variable, show_default=True)


RunName = Annotated[str, typer.Argument(metavar="RUN", help="A finished run; see kd runs.")]
PredictorRun = Annotated[str | None, option("Default: the most accurate run.", metavar="NAME")]
DataDir = Annotated[Path, _folder("Folder with the three CSV files.", "--data-dir", "KD_DATA_DIR")]
RunsDir = Annotated[Path, _folder("Folder with the run folders.", "--runs-dir", "KD_RUNS_DIR")]
SubmissionsDir = Annotated[
    Path, _folder("Folder with the submission files.", "--submissions-dir", "KD_SUBMISSIONS_DIR")
]
AsJson = Annotated[bool, option("Print JSON instead of text.", "--json", panel=OUTPUT_PANEL)]
Svg = Annotated[bool, option("Save each figure as SVG, too.", "--svg", panel=OUTPUT_PANEL)]
Output = Annotated[Path | None, option("CSV file to write.", "-o", "--output", panel=OUTPUT_PANEL)]
Force = Annotated[bool, option("Rename an existing output first.", "--force", panel=OUTPUT_PANEL)]
Timeout = Annotated[
    float,
    option(
        "Seconds to wait for a response of Kaggle; pauses between attempts scale with it.",
        "--timeout",
        envvar="KD_KAGGLE_TIMEOUT",
        show_default=True,
    ),
]
