"""How well outside pictures are read, and what each step of their preparation is worth.

    python -m benchmarks.pictures RUN --drawn FOLDER --data-dir data --runs-dir runs

The ladder: pictures that people drew (FOLDER/labels.csv: file, label, repository), prepared by one
step more from row to row. The stress: digits that the run held out, made into pictures of many
kinds by code; how many are still read rightly, as a share of those read rightly as they are.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from kaggle_digits.data.dataset import load
from kaggle_digits.data.digits import SIDE
from kaggle_digits.imaging.loading import open_picture, prepare
from kaggle_digits.imaging.segmentation import BOX, center_by_mass
from kaggle_digits.inference.predictor import Predictor, load_predictor
from kaggle_digits.metrics.scores import predicted_rows, wilson_interval
from kaggle_digits.runs.store import open_run

Pixels = NDArray[np.uint8]
DRAWN_BAR, REPOSITORY_BAR, STRESS_BAR, MANY = 0.96, 0.90, 0.97, 8


def main() -> int:
    """Print the ladder and the stress as Markdown; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--drawn", type=Path)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--digits", type=int, default=500, help="for the stress, of each kind")
    given = parser.parse_args()
    reader = load_predictor(given.runs_dir, given.run)
    held = True
    if given.drawn:
        held = _ladder(reader, given.drawn)
    return 0 if _stress(reader, given) and held else 1


def _ladder(reader: Predictor, folder: Path) -> bool:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([int(row["label"]) for row in rows])
    pictures = [open_picture(folder / row["file"], row["file"]) for row in rows]
    print("| preparation | read rightly | 95 % interval |\n| --- | --- | --- |")
    for name, way in LADDER.items():
        images = np.stack([way(picture) for picture in pictures])
        right = reader.predict_proba(images).argmax(axis=1) == truth
        low, high = wilson_interval(int(right.sum()), len(right))
        print(
            f"| {name} | {right.sum()} of {len(right)} ({right.mean():.3f}) "
            f"| {low:.3f}–{high:.3f} |"
        )
    by_repository = defaultdict(list)
    for row, good in zip(rows, right, strict=True):
        by_repository[row["repository"]].append(bool(good))
    print("\n| repository | pictures | read rightly |\n| --- | --- | --- |")
    for repository, goods in by_repository.items():
        print(f"| {repository} | {len(goods)} | {np.mean(goods):.2f} |")
    worst = min(np.mean(goods) for goods in by_repository.values() if len(goods) >= MANY)
    print(f"\ndrawn: {right.mean():.3f} (asked {DRAWN_BAR}), worst {worst:.2f} ({REPOSITORY_BAR})")
    return bool(right.mean() >= DRAWN_BAR and worst >= REPOSITORY_BAR)


def _squeezed(values: NDArray[np.float32], height: int = SIDE, width: int = SIDE) -> Pixels:
    small = Image.fromarray(values).resize((width, height), Image.Resampling.LANCZOS)
    pixels: Pixels = np.rint(255 * np.clip(np.asarray(small), 0, 1)).astype(np.uint8)
    return pixels


def _in_the_middle(small: Pixels) -> Pixels:
    image = np.zeros((SIDE, SIDE), np.uint8)
    top, left = ((SIDE - side) // 2 for side in small.shape)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def _kept(values: NDArray[np.float32]) -> Pixels:
    height, width = values.shape
    factor = BOX / max(height, width)
    return _squeezed(values, max(1, round(factor * height)), max(1, round(factor * width)))


def _after(step: str, way: Callable[[NDArray[np.float32]], Pixels]) -> Callable[[Any], Pixels]:
    def prepared(picture: Any) -> Pixels:
        steps = prepare(picture).steps
        return way(steps[step]) if step in steps else np.zeros((SIDE, SIDE), np.uint8)

    return prepared


LADDER: dict[str, Callable[[Any], Pixels]] = {
    "squeezed to 28 × 28 as it is": _after("picture", _squeezed),
    "ink against its paper": _after("ink", _squeezed),
    "cropped, squeezed to 20 × 20": _after(
        "digit", lambda ink: _in_the_middle(_squeezed(ink, BOX, BOX))
    ),
    "proportions kept": _after("digit", lambda ink: _in_the_middle(_kept(ink))),
    "centre of mass in the middle": _after(
        "digit", lambda ink: center_by_mass((_kept(ink) / 255).astype(np.float32))
    ),
    "strokes as wide as in training (all)": lambda picture: prepare(picture).image,
}


def _stress(reader: Predictor, given: argparse.Namespace) -> bool:
    dataset, run = load(given.data_dir), open_run(given.runs_dir, given.run)
    rows = predicted_rows(run.oof())[: given.digits]
    images, truth = dataset.train.images[rows], dataset.labels[rows]
    plain = (reader.predict_proba(images).argmax(axis=1) == truth).mean()
    print(f"\n{len(rows)} held-out digits as they are: {plain:.3f} read rightly\n")
    print("| made into | read rightly | share of the originals' | no digit found |")
    print("| --- | --- | --- | --- |")
    shares = []
    for name, make in STRESS.items():
        rng = np.random.default_rng(0)
        seen = [prepare(open_picture(make(image, rng), name)) for image in images]
        right = reader.predict_proba(np.stack([one.image for one in seen])).argmax(axis=1) == truth
        shares.append(right.mean() / plain)
        blank = sum(not one.image.any() for one in seen)
        print(f"| {name} | {right.mean():.3f} | {shares[-1]:.3f} | {blank} |")
    print(f"\nstress, all kinds: {np.mean(shares):.3f} of the originals' (asked {STRESS_BAR})")
    return bool(np.mean(shares) >= STRESS_BAR)


def _file(values: Any, kind: str = "PNG", **options: Any) -> bytes:
    picture = values if isinstance(values, Image.Image) else Image.fromarray(values)
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _scaled(image: Pixels, factor: float) -> bytes:
    side = max(1, round(SIDE * factor))
    return _file(Image.fromarray(255 - image).resize((side, side), Image.Resampling.BICUBIC))


def _shifted(image: Pixels, rng: np.random.Generator) -> bytes:
    frame = np.full((SIDE * 5, SIDE * 7), 255, np.uint8)
    top, left = rng.integers(0, SIDE * 4), rng.integers(0, SIDE * 6)
    frame[top : top + SIDE, left : left + SIDE] = 255 - image
    return _file(frame)


def _gradient(image: Pixels, rng: np.random.Generator) -> bytes:
    down, across = np.indices(image.shape) / SIDE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 150 + 110 * (down * np.sin(angle) + across * np.cos(angle))
    shade = light * (1 - 0.8 * image / 255.0)
    return _file(np.clip(shade, 0, 255).astype(np.uint8))


def _coloured(image: Pixels, rng: np.random.Generator) -> bytes:
    while True:
        paper, pen = rng.integers(0, 256, (2, 3))
        if abs(int((paper - pen) @ np.array([0.299, 0.587, 0.114]))) > 60:
            break
    cover = image[..., None] / 255.0
    return _file(np.rint(paper * (1 - cover) + pen * cover).astype(np.uint8))


def _photographed(image: Pixels, rng: np.random.Generator) -> bytes:
    large = Image.fromarray(255 - image).resize((280, 280), Image.Resampling.BICUBIC)
    noisy = np.asarray(large, np.float32) + rng.normal(0, 12, (280, 280))
    return _file(np.clip(noisy, 0, 255).astype(np.uint8), "JPEG", quality=25)


def _turned(image: Pixels, rng: np.random.Generator) -> bytes:
    large = Image.fromarray(255 - image).resize((112, 112), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown only after a quarter turn clockwise
    return _file(large.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def _transparent(image: Pixels, rng: np.random.Generator) -> bytes:
    pen = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (SIDE, SIDE, 3))
    return _file(np.concatenate([pen, image[..., None]], axis=2))


def _on_squared_paper(image: Pixels, rng: np.random.Generator) -> bytes:
    """A photograph: squared paper, light from one side, a blue pen, blur and grain."""
    size = int(rng.integers(80, 200))
    paper = np.full((300, 400), 215.0)
    first = int(rng.integers(0, 24))
    paper[first::24], paper[:, first::24] = 165, 165
    cover = np.zeros((300, 400))
    top, left = rng.integers(10, 290 - size), rng.integers(10, 390 - size)
    large = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    cover[top : top + size, left : left + size] = np.asarray(large) / 255
    light = np.linspace(0.6, 1, 400)[:, None]
    pen = np.array([60.0, 60, 120])
    shown = light * (paper[..., None] * (1 - cover[..., None]) + pen * cover[..., None])
    shown += rng.normal(0, 5, shown.shape)
    picture = Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))
    return _file(picture.filter(ImageFilter.GaussianBlur(0.8)), "JPEG", quality=70)


def _on_a_table(image: Pixels, rng: np.random.Generator) -> bytes:
    table = Image.new("RGB", (500, 400), (90, 56, 30))
    with Image.open(BytesIO(_on_squared_paper(image, rng))) as sheet:
        table.paste(sheet, (60, 50))
    return _file(table, "JPEG", quality=80)


STRESS: dict[str, Callable[[Pixels, np.random.Generator], bytes]] = {
    "as it is, white on black": lambda image, rng: _file(image),
    "inverted": lambda image, rng: _file(255 - image),
    "scaled by 0.3": lambda image, rng: _scaled(image, 0.3),
    "scaled by 0.5": lambda image, rng: _scaled(image, 0.5),
    "scaled by 3": lambda image, rng: _scaled(image, 3),
    "scaled by 20": lambda image, rng: _scaled(image, 20),
    "somewhere on a large sheet": _shifted,
    "on a grey gradient": _gradient,
    "in colour": _coloured,
    "noise, JPEG of quality 25": _photographed,
    "a JPEG turned by its EXIF data": _turned,
    "on transparency, any pen": _transparent,
    "photographed on squared paper": _on_squared_paper,
    "the same, a sheet on a table": _on_a_table,
    "16 bits": lambda image, rng: _file(Image.fromarray(65535 - 257 * image.astype(np.int32))
                                        .convert("I;16")),
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
