"""kd show: draw images of train.csv or test.csv, with the predictions of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import console, half_blocks, options
from kaggle_digits.cli.options import argument, flag, option
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from kaggle_digits.inference.examples import Example

MAX_BAR, BESIDE_BAR = 24, 49  # columns


def show(
    lines: list[str] = argument("Lines of the file; line 1 is the header.", "LINE", default=...),
    *,
    run: str | None = option("Show the predictions of this run.", "--run", metavar="NAME"),
    test: bool = flag("Images of test.csv instead of train.csv.", "--test"),
    output: Path | None = option("Figure file (PNG, SVG or PDF) to write, too.", "-o", "--output"),
    force: bool = options.FORCE,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Draw images of train.csv or test.csv, with the probabilities that a run predicts."""
    from kaggle_digits.core.output_paths import back_up, check_output
    from kaggle_digits.data.dataset import load
    from kaggle_digits.inference.examples import find_examples
    from kaggle_digits.plots import digit_grids, style
    from kaggle_digits.runs.store import open_run

    try:
        numbers = list(map(int, lines))
    except ValueError:
        raise UsageError(f"{' '.join(lines)}: give each line by its number: kd show 2 3") from None
    if output is not None:
        check_output(*style.saved_paths(output), force=force)
    opened = open_run(runs_dir, run) if run else None
    examples = find_examples(load(data_dir), numbers, opened, test=test)
    headings = [_heading(example) for example in examples]
    if output is not None:
        figure = digit_grids.examples(
            [example.image for example in examples],
            headings,
            [example.probabilities for example in examples],
            [example.label for example in examples],
            f"Images of {examples[0].file}" + (f", predicted by run {run}" if run else ""),
        )
        back_up(output)
        style.save(figure, output)
    if as_json:
        rows = [vars(example) for example in examples]
        console.print_json([{key: row[key] for key in row if key != "image"} for row in rows])
        return
    for example, heading in zip(examples, headings, strict=True):
        console.echo(heading)
        console.echo(_drawing(example))
    if output is not None:
        console.echo(f"figure: {output}")


def _heading(example: "Example") -> str:
    known = f"ImageId {example.image_id}" if example.label is None else f"label {example.label}"
    heading = f"line {example.line} of {example.file}, {known}"
    if example.predicted is None:
        return heading
    remark = " (wrong)" if example.label not in (None, example.predicted) else ""
    by = " by models trained on it" if example.trained_on else ""
    return f"{heading}, predicted {example.predicted}{remark}{by}"


def _drawing(example: "Example") -> "Text":
    """Draw the image, 28 characters wide, and beside it a bar for the probability of each digit.

    With colours, ink is black on white paper; without, it has the colour of the text.
    """
    import numpy as np
    from rich.text import Text

    if half_blocks.has_colors():
        lines = half_blocks.draw_colors(np.repeat(255 - example.image[..., None], 3, axis=2))
    else:
        lines = half_blocks.draw_ink(example.image > 127)
    drawing, length = Text(), max(1, min(MAX_BAR, console.out.width - BESIDE_BAR))
    for digit, line in enumerate(lines, -2):
        drawing.append_text(line)
        if example.probabilities is not None and 0 <= digit < len(example.probabilities):
            share = example.probabilities[digit]
            bar = "█" * round(length * share)
            style = "bold" if digit == example.predicted else ""
            drawing.append(f"   {digit} {bar:{length}} {100 * share:6.2f} %", style)
            drawing.append("  label" * (digit == example.label))
        drawing.append("\n")
    return drawing
