"""Run every command of docs/guide.md and docs/lesson.md on the sample; renew what they show.

python -m benchmarks.documents [--app RUN] [--studies FOLDER]

Renewed are the outputs below the commands and the pictures that the commands draw. With a run of
Kaggle's own data, runs/NAME, also the picture of the draw-a-digit page in README; with what kd
reproduce wrote from that data, runs/studies, also the table and pictures of docs/studies.md.
"""

import argparse
import csv
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.app import KD, start_app, stop_app

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("guide.md", "lesson.md")
STEP = re.compile(r"```console\n(.+?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)
PICTURE = re.compile(r"!\[.+\]\((\w+/.+\.png)\)")
STUDIES_TABLE = re.compile(r"(?:Data: .+\n\n)?(\| experiment .+\n\| ---.+\n)(?:\|.+\n)*")
MOST_LINES = 14  # of a command's output; the reader sees the rest on the own screen
APP_PICTURE = DOCS / "images" / "app.png"
WIDTH, HEIGHT = 1280, 1010  # of the picture of the page, in pixels
# Strokes as points from 0 to 1, y downwards: the last digit is on the sheet of that picture.
THREE = [
    (0.48 + rx * math.cos(math.radians(angle)), y + ry * math.sin(math.radians(angle)))
    for y, rx, ry, angles in ((0.35, 0.16, 0.14, (205, 441)), (0.64, 0.18, 0.16, (-85, 151)))
    for angle in range(*angles, 5)
]
ONE = [(0.44, 0.28), (0.54, 0.2), (0.52, 0.5), (0.51, 0.8)]
SEVEN = [(0.3, 0.24), (0.5, 0.22), (0.69, 0.22), (0.6, 0.45), (0.48, 0.82)]
DRAWN = (THREE, ONE, SEVEN)


def main() -> None:
    """Rewrite the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", type=Path, metavar="RUN")
    parser.add_argument("--studies", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.app:
        photograph_app(arguments.app.absolute())
    if arguments.studies:
        renew_studies(arguments.studies)
    for name in PAGES:
        page = DOCS / name
        with tempfile.TemporaryDirectory() as folder:
            draw_digit(Path(folder) / "digit.png")
            page.write_text(renew(page.read_text("utf-8"), Path(folder)), encoding="utf-8")


def renew(text: str, folder: Path) -> str:
    """Return the page with the outputs of its commands, run in ``folder``; copy the pictures."""
    parts, end = [], 0
    for step in STEP.finditer(text):
        commands = [line for line in step[1].splitlines() if line.startswith("kd ")]
        outputs = [run(command, folder) for command in commands]
        parts += [text[end : step.start()], f"```console\n{step[1]}```\n"]
        if "```text" in step[0]:
            shown = "\n".join(outputs[-1].splitlines()[:MOST_LINES])
            parts.append(f"\n```text\n{shown}\n```\n")
        end = step.end()
        following = text[end:].partition("```console")[0]
        for picture in PICTURE.findall(following):
            drawn = folder.rglob(Path(picture).name)
            copy_picture(max(drawn, key=lambda path: path.stat().st_mtime), picture)
    return "".join([*parts, text[end:]])


def copy_picture(drawn: Path, picture: str) -> None:
    """Copy a picture to where the page shows it."""
    (DOCS / picture).parent.mkdir(exist_ok=True)
    shutil.copyfile(drawn, DOCS / picture)


def run(command: str, folder: Path) -> str:
    """Run a command as at a terminal of 80 columns and return what it prints to stdout."""
    print(f"$ {command}", file=sys.stderr)
    words = [*KD, *shlex.split(command)[1:]]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return done.stdout


def draw_digit(path: Path) -> None:
    """Save a drawn 3, black on white, of 280 × 280 pixels."""
    image = Image.new("L", (280, 280), 255)
    points = [(280 * x, 280 * y) for x, y in THREE]
    ImageDraw.Draw(image).line(points, 0, 20, joint="curve")
    image.save(path)


def renew_studies(folder: Path) -> None:
    """Rewrite the table of docs/studies.md, and copy the pictures that the page shows."""
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            f"| {row['experiment']} {row['what']} | {row['published']} | {row['measured']} | "
            f"{int(row['rows']):,} | {row['reached']} |"
            for row in csv.DictReader(file)
            if row["rows"] and "%" in row["measured"]
        ]
    html = (folder / "index.html").read_text("utf-8")
    environment = re.search(r'<p class="lead quiet">(.+?)</p>', html, re.DOTALL)
    duration = re.search("<b>([^<]+)</b><span>computing", html)
    page = DOCS / "studies.md"
    text = page.read_text("utf-8")
    header = STUDIES_TABLE.search(text)
    assert environment and duration and header
    measured = f"{' '.join(environment[1].split())} Computing took {duration[1]}.\n\n{header[1]}"
    table = measured + "".join(f"{row}\n" for row in rows)
    page.write_text(text[: header.start()] + table + text[header.end() :], encoding="utf-8")
    for picture in PICTURE.findall(text):
        copy_picture(next(folder.glob(f"*/{Path(picture).name}")), picture)


def photograph_app(run_dir: Path) -> None:
    """Save the page of kd app with a run, after the digits of DRAWN were drawn on it."""
    from playwright.sync_api import sync_playwright

    app, address = start_app(run_dir.name, str(run_dir.parent), ".")
    try:
        with sync_playwright() as playwright:
            program = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(address)
            page.wait_for_selector("#run option", state="attached")
            for number, points in enumerate(DRAWN):
                if number:
                    page.keyboard.press("Escape")
                box = page.locator("#pad").bounding_box()
                assert box
                for k, (x, y) in enumerate(points):
                    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                    if k == 0:
                        page.mouse.down()
                page.mouse.up()
                page.wait_for_selector("#result[aria-busy=false] >> text=confidence")
                page.wait_for_timeout(500)  # until the bars have their length
            page.mouse.move(0, 0)
            page.screenshot(path=APP_PICTURE)
    finally:
        stop_app(app)


if __name__ == "__main__":
    main()
