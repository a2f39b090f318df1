"""The share of digits on sheets that are found and read, and false boxes.

    python -m benchmarks.sheets RUN --sheets FOLDER --data-dir data --runs-dir runs

Photographs and scans (FOLDER/labels.csv: file, label, left, top, right, bottom), and sheets drawn
here from validation digits of the run: sloping lines, squared and ruled paper, shadows, touching
pairs, noise. A digit is found if the centre of a reading's box lies in its own.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from kaggle_digits.data.dataset import load
from kaggle_digits.imaging.loading import SEVERAL_DIGITS, open_picture, prepare, prepare_sheet
from kaggle_digits.inference.predictor import Predictor, load_predictor
from kaggle_digits.inference.sheet_reader import SheetPrediction, classify_sheet
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.store import open_run

Pixels = NDArray[np.uint8]
Generator = np.random.Generator
Truth = list[tuple[int, tuple[float, ...]]]  # label and box of each digit
TARGET, FALSE_TARGET = 0.95, 0.02
SIZE = (1000, 1400)  # height and width of drawn sheets


def main() -> int:
    """Print the table as Markdown; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--count", type=int, default=8, help="sheets per kind")
    parser.add_argument("--save", type=Path, help="folder for the sheets drawn here, with boxes")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    predictor = load_predictor(args.runs_dir, args.run)
    print("| sheets | digits | found and read | found | false boxes | lines right | s | noted |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    ok = True
    if args.sheets:
        ok = _report("photographs and scans", predictor, _labelled(args.sheets), args.save)
    rows = predicted_rows(open_run(args.runs_dir, args.run).oof())
    dataset = load(args.data_dir)
    images, labels = dataset.train.images[rows], dataset.labels[rows]
    for name, options in KINDS.items():
        if args.only not in name:
            continue
        rng = np.random.default_rng(0)
        drawn = [_draw(images, labels, rng, **options) for _ in range(args.count)]
        ok &= _report(name, predictor, drawn, args.save)
    return 0 if ok else 1


def _labelled(folder: Path) -> list[tuple[Image.Image, Truth]]:
    digits = defaultdict[str, Truth](list)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            box = tuple(float(row[side]) for side in ("left", "top", "right", "bottom"))
            digits[row["file"]].append((int(row["label"]), box))
    return [(open_picture(folder / name, name), truth) for name, truth in digits.items()]


def _report(
    name: str, predictor: Predictor, sheets: list[tuple[Image.Image, Truth]], save: Path | None
) -> bool:
    total = read = found = false = lines = noted = 0
    start = time.perf_counter()
    for number, (picture, truth) in enumerate(sheets):
        prepared = prepare_sheet(picture)
        prediction = classify_sheet(predictor, prepared)
        noted += prepare(picture).note == SEVERAL_DIGITS
        free = list(prediction.digits)
        for label, box in truth:
            best = next((one for one in free if _is_at(one.box, box)), None)
            if best is None:
                continue
            free.remove(best)
            found += 1
            read += best.digit == label
        false += len(free)
        total += len(truth)
        lines += "".join(prediction.lines).replace(" ", "") == "".join(str(d) for d, _ in truth)
        if save:
            _save(save / f"{name.replace(' ', '-')}-{number}.png", prepared.picture,
                  prepared.scale, prediction)  # fmt: skip
    seconds = (time.perf_counter() - start) / len(sheets)
    print(
        f"| {name} | {total} | {read / total:.3f} | {found / total:.3f} | {false} "
        f"| {lines} of {len(sheets)} | {seconds:.2f} | {noted} |", flush=True
    )  # fmt: skip
    return read / total >= TARGET and false / total <= FALSE_TARGET


def _is_at(one: tuple[float, ...], box: tuple[float, ...]) -> bool:
    """Whether the centre of a box lies in the other one."""
    x, y = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _save(path: Path, shown: Pixels, scale: float, prediction: SheetPrediction) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(shown)
    draw = ImageDraw.Draw(picture)
    for one in prediction.digits:
        box = [scale * side for side in one.box]
        draw.rectangle(box, outline="red", width=2)
        draw.text((box[0], box[1] - 22), str(one.digit), fill="red", font_size=22)
    picture.save(path)


def _draw(
    images: Pixels,
    labels: Pixels,
    rng: Generator,
    *,
    slope: float = 0.0,
    paper: str = "plain",
    shadow: bool = False,
    touching: bool = False,
    pen: float = 0.75,
    invert: bool = False,
    sizes: tuple[float, float] = (70, 110),
    clutter: bool = False,
) -> tuple[Image.Image, Truth]:
    """Draw three to five numbers in lines on a sheet; return it with the truth in reading order."""
    height, width = SIZE
    ink = np.zeros(SIZE, np.float32)
    truth: Truth = []
    top = 80.0
    while top < height - 200:
        size = rng.uniform(*sizes)
        left = rng.uniform(60, 200)
        for _ in range(int(rng.integers(3, 9))):
            index = int(rng.integers(len(images)))
            own = size * rng.uniform(0.85, 1.15)
            digit = _render(images[index], own, rng)
            y = int(top + slope * left + rng.uniform(-0.06, 0.06) * size + (size - own) / 2)
            x = int(left)
            if x + digit.shape[1] > width - 20 or not 0 <= y < height - digit.shape[0]:
                break
            place = ink[y : y + digit.shape[0], x : x + digit.shape[1]]
            np.maximum(place, digit, out=place)
            truth.append((int(labels[index]), (x, y, x + digit.shape[1], y + digit.shape[0])))
            gap = rng.uniform(0.12, 0.5) * size
            if touching and rng.random() < 0.35:
                gap = -rng.uniform(0.0, 0.06) * size
            left = x + digit.shape[1] + gap
            if rng.random() < 0.08:
                left += 1.2 * size
        top += 1.9 * size + abs(slope) * 250
    values = _paper(rng, paper, shadow=shadow) * (1 - pen * ink) + rng.normal(0, 0.02, SIZE)
    if clutter:
        for _ in range(60):
            y, x = int(rng.integers(0, height - 6)), int(rng.integers(0, width - 6))
            high, wide = rng.integers(1, 5, 2)
            values[y : y + high, x : x + wide] *= 0.5
        values[:, : int(rng.integers(10, 80))] = 0.25  # the table beside the sheet
    if invert:
        values = 1 - values
    picture = Image.fromarray(np.clip(255 * values, 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    out = BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=80)
    return open_picture(out.getvalue(), "drawn"), truth


def _paper(rng: Generator, paper: str, *, shadow: bool) -> NDArray[np.float64]:
    """Return the brightness of plain, ruled or squared paper in uneven light."""
    height, width = SIZE
    ground = np.full(SIZE, 0.86, np.float32)
    step = int(rng.integers(32, 60))
    first = int(rng.integers(step))
    if paper in ("squared", "ruled"):
        ground[first::step] -= 0.22
        ground[first + 1 :: step] -= 0.22
    if paper == "squared":
        ground[:, first::step] -= 0.22
        ground[:, first + 1 :: step] -= 0.22
    light = np.linspace(0.75, 1.05, width)[None] * np.linspace(1, 0.85, height)[:, None]
    if shadow:
        down, across = np.indices(SIZE)
        angle, middle = rng.uniform(0, np.pi), rng.uniform(0.3, 0.7)
        side = (down / height - middle) * np.sin(angle) + (across / width - middle) * np.cos(angle)
        light = light * (1 - 0.5 / (1 + np.exp(-side * 120)))
    return np.asarray(light * ground)


def _render(image: Pixels, size: float, rng: Generator) -> NDArray[np.float32]:
    """Scale a training image to ``size`` pixels of height and cut it to its ink."""
    large = Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC)
    tilt = rng.uniform(-0.15, 0.15)
    large = large.transform(large.size, Image.Transform.AFFINE, (1, tilt, -tilt * 112, 0, 1, 0),
                            Image.Resampling.BICUBIC)  # fmt: skip
    large = large.crop(large.point(lambda value: 255 * (value > 100)).getbbox())
    factor = size / large.height
    small = large.resize(
        (max(3, round(large.width * factor)), round(size)), Image.Resampling.LANCZOS
    )
    return np.clip((np.asarray(small, np.float32) / 255 - 0.3) / 0.4, 0, 1)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sloping lines": {"slope": 0.12},
    "small digits": {"sizes": (28, 45)},
    "mixed sizes": {"sizes": (35, 160)},
    "squared paper": {"paper": "squared"},
    "ruled paper, pencil": {"paper": "ruled", "pen": 0.5},
    "shadow with a hard edge": {"shadow": True},
    "touching digits": {"touching": True},
    "white on black": {"invert": True},
    "specks, table, squared": {"clutter": True, "paper": "squared", "shadow": True},
}
if __name__ == "__main__":
    raise SystemExit(main())
