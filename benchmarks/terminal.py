"""Record kd in a terminal of 80 columns as an animated SVG, for README.

python -m benchmarks.terminal [--output FILE]
"""

import argparse
import io
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

COMMANDS = ("kd fetch sample", "kd train dense", "kd evaluate", "kd runs")
COLUMNS, LINES = 80, 24
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "terminal.svg"
INTERVAL = 1.5  # seconds between two pictures of a screen that changes
MARGIN = 12  # in the units of the picture, in which a line is 24.4 high
TYPED, READ = 0.8, 2.5  # seconds that a typed command and a finished one are shown
COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}  # pyte's names, rich's names

# Templates for rich: one screen, without its window and without a font from another host.
FRAME = (
    "{terminal_width} {terminal_height}|<style>{styles}</style><g transform='translate(12, 12)' "
    "class='{unique_id}-matrix'>{backgrounds}{matrix}</g>"
)
PAGE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"
aria-label="kd fetch, train, evaluate and runs in a terminal">
<style>text {{ font: 20px Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }}
.frame {{ visibility: hidden }}</style>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
{frames}
<style>@media (prefers-reduced-motion: reduce) {{ .frame {{ animation: none !important }}
{last} {{ visibility: visible }} }}</style>
</svg>
"""

Frame = tuple[Text, float]  # the screen, and how many seconds it is shown


def main() -> None:
    """Write the SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        frames = record(COMMANDS, Path(folder))
    output.write_text(animate(frames), encoding="utf-8")
    print(f"{output}: {len(frames)} pictures, {output.stat().st_size / 1000:.0f} kB")


def record(commands: tuple[str, ...], folder: Path) -> list[Frame]:
    """Run ``commands`` one after another in a pseudo-terminal and return its screens."""
    if sys.platform == "win32":
        raise SystemExit("Windows has no pseudo-terminals")
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    frames: list[Frame] = []
    for command in commands:
        stream.feed(b"\x1b[1;32m$\x1b[0m " + command.encode() + b"\r\n")
        frames.append((draw(screen), TYPED))
        words = [sys.executable, "-m", "kaggle_digits", *command.split()[1:]]
        leader, follower = pty.openpty()
        environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
        environment["TERM"] = "xterm-256color"
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=follower, stdout=follower, stderr=follower
        )
        os.close(follower)
        drawn = time.monotonic()
        while chunk := _read(leader):
            stream.feed(chunk)
            if time.monotonic() - drawn > INTERVAL:
                frames.append((draw(screen), INTERVAL))
                drawn = time.monotonic()
        if process.wait():
            raise SystemExit(f"{command} failed:\n" + "\n".join(screen.display))
        frames.append((draw(screen), READ))
    return [
        frame for frame, later in zip(frames, [*frames[1:], None], strict=True) if frame != later
    ]


def _read(leader: int) -> bytes:
    """Return what arrived at the terminal; empty when its last process has ended."""
    select.select([leader], [], [])
    try:
        return os.read(leader, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


def draw(screen: pyte.Screen) -> Text:
    """Return the screen with its colours."""
    text = Text()
    for line in range(LINES):
        cells = [screen.buffer[line][column] for column in range(COLUMNS)]
        for style, group in groupby(cells, _style):
            text.append("".join(cell.data for cell in group), style)
        text.append("\n")
    return text


def _style(cell: pyte.screens.Char) -> Style:
    return Style(
        color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, italic=cell.italics
    )


def _colour(name: str) -> str | None:
    """Return rich's name of one of pyte's colours."""
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return COLOURS.get(name, name.replace("bright", "bright_"))


def animate(frames: list[Frame]) -> str:
    """Return an SVG that shows the screens one after another, again and again."""
    total = sum(seconds for _, seconds in frames)
    parts, start, size = [], 0.0, ""
    for number, (text, seconds) in enumerate(frames):
        console = Console(record=True, width=COLUMNS, height=LINES, file=io.StringIO())
        console.print(text, end="")
        svg = console.export_svg(code_format=FRAME, unique_id=f"t{number}")
        size, _, content = re.sub(r' clip-path="[^"]*"', "", svg).partition("|")
        shown, hidden = 100 * start / total, 100 * (start + seconds) / total
        parts.append(
            f"<style>@keyframes k{number} {{ 0% {{ visibility: hidden }} "
            f"{shown:.2f}% {{ visibility: visible }} {hidden:.2f}% {{ visibility: hidden }} }} "
            f"#f{number} {{ animation: k{number} {total:.1f}s step-end infinite }}</style>"
            f'<g id="f{number}" class="frame">{content}</g>'
        )
        start += seconds
    width, height = (float(side) + 2 * MARGIN for side in size.split())
    last = f"#f{len(frames) - 1}"
    return PAGE.format(width=width, height=height, frames="\n".join(parts), last=last)


if __name__ == "__main__":
    main()
