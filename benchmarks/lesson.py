"""Run every command of docs/lesson.md on the sample and renew its outputs and pictures.

python -m benchmarks.lesson
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "lesson.md"
STEP = re.compile(r"```console\n(.+?)```\n\n```text\n.*?```\n", re.DOTALL)
PICTURE = re.compile(r"!\[.+\]\((lesson/.+\.png)\)")
MOST_LINES = 14  # of a command's output; the class sees the rest on its own screen


def main() -> None:
    """Rewrite the page."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(renew(text, Path(folder)), encoding="utf-8")


def renew(text: str, folder: Path) -> str:
    """Return the page with the outputs of its commands, run in ``folder``; copy the pictures."""
    parts, end = [], 0
    for step in STEP.finditer(text):
        outputs = [run(command, folder) for command in step[1].splitlines()]
        shown = "\n".join(outputs[-1].splitlines()[:MOST_LINES])
        parts += [text[end : step.start()], f"```console\n{step[1]}```\n\n```text\n{shown}\n```\n"]
        end = step.end()
        following = text[end:].partition("```console")[0]
        for picture in PICTURE.findall(following):
            drawn = folder.rglob(Path(picture).name)
            newest = max(drawn, key=lambda path: path.stat().st_mtime)
            (PAGE.parent / picture).parent.mkdir(exist_ok=True)
            shutil.copyfile(newest, PAGE.parent / picture)
    return "".join([*parts, text[end:]])


def run(command: str, folder: Path) -> str:
    """Run a command as at a terminal of 80 columns and return what it prints to stdout."""
    print(f"$ {command}", file=sys.stderr)
    words = [sys.executable, "-m", "kaggle_digits", *shlex.split(command)[1:]]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
