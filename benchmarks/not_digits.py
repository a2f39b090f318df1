"""How many pictures that are not digits are recognized as such, and the fit of that detector.

    python -m benchmarks.not_digits RUN --drawn FOLDER --fonts FOLDER --data-dir data
    python -m benchmarks.not_digits --fit kaggle_digits/inference/not_digit.npz --fonts FOLDER

The table: held-out digits of the run and pictures drawn by people (FOLDER/labels.csv), which must
not be refused, and letters, shapes, scribbles and noise made here. The fonts measured must not be
those fitted. Fit: 90 % of train.csv against random strokes, letters of the given fonts, and digits
that were mirrored, turned, put together from halves, or scribbled over; the other 10 % give the
scores their scale.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from kaggle_digits.data.dataset import load
from kaggle_digits.data.digits import SIDE
from kaggle_digits.imaging.labelled_folder import read_labels
from kaggle_digits.imaging.loading import NO_DIGIT, open_picture, prepare
from kaggle_digits.imaging.segmentation import BOX, center_by_mass
from kaggle_digits.inference.not_digit import (
    SYMMETRIC,
    assess,
    features,
    is_not_digit,
    mirror,
    not_digit_scores,
)
from kaggle_digits.inference.predictor import Predictor, load_predictor
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.store import open_run

Pixels = NDArray[np.uint8]
Generator = np.random.Generator
# Letters that nobody could take for a digit; "OoIlZzSsqbgBD" and the like are left out.
LETTERS = "ACEFGHJKLMNPQRTUVWXYacdefhjkmnprtuvwxy"
SIGNS = "?!&#@%$+=*<>"
TURNABLE = (2, 3, 4, 5, 7)
SIDE_DRAWN = 160  # of pictures drawn here, in pixels
REFUSED_TARGET, DRAWN_TARGET, AUROC_TARGET, MIRRORED_TARGET = 0.01, 0.02, 0.95, 0.9


def main() -> int:
    """Print the table as Markdown, or write the weights; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?")
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--drawn", type=Path)
    parser.add_argument("--fonts", type=Path, action="append", required=True)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    args = parser.parse_args()
    suffixes = (".ttf", ".otf", ".woff2")
    files = [path for folder in args.fonts for path in sorted(folder.rglob("*"))]
    fonts = [str(path) for path in files if path.suffix in suffixes]
    dataset = load(args.data_dir)
    if args.fit:
        _fit(dataset.train.images, dataset.labels, fonts, args.fit)
        return 0
    rows = predicted_rows(open_run(args.runs_dir, args.run).oof())
    predictor = load_predictor(args.runs_dir, args.run)
    images, labels = dataset.train.images[rows], dataset.labels[rows]
    ok = _measure(predictor, images, labels, fonts, args.drawn)
    return 0 if _measure_mirrored(predictor, images, labels, args.drawn) and ok else 1


def _measure(
    predictor: Predictor, digits: Pixels, labels: Pixels, fonts: list[str], drawn: Path | None
) -> bool:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    accepted = {"held-out digits": digits}
    if drawn:
        accepted["drawn by people"] = _prepare([picture for picture, _ in _read_drawn(drawn)])
    accepted["printed digits"] = _prepare([_text(c, f, rng) for f in fonts for c in "0123456789"])
    refused = {
        "letters": _prepare([_text(c, font, rng) for font in fonts for c in LETTERS]),
        "mirrored digits": mirror(digits[~np.isin(labels, SYMMETRIC)]),
    }
    for name, draw in DRAWINGS.items():
        refused[name] = _prepare([draw(rng) for _ in range(200)])
    reference = not_digit_scores(digits)
    print("| pictures | n | refused | AUROC | AUROC of the confidence |\n|---|---|---|---|---|")
    aurocs = []
    shares = {}
    doubts = 1 - predictor.predict_proba(digits).max(axis=1)
    for name, images in (accepted | refused).items():
        scores, confidences = not_digit_scores(images), predictor.predict_proba(images).max(axis=1)
        shares[name] = np.mean([
            is_not_digit(score, confidence) or assess(predictor, image)[1]
            for score, confidence, image in zip(scores, confidences, images, strict=True)
        ])  # fmt: skip
        cells = f"| {name} | {len(images):,} | {100 * shares[name]:.1f} % |"
        if name in refused:
            is_other = np.repeat([0, 1], [len(reference), len(images)])
            both = np.concatenate([doubts, 1 - confidences])
            aurocs.append(roc_auc_score(is_other, np.concatenate([reference, scores])))
            cells += f" {aurocs[-1]:.3f} | {roc_auc_score(is_other, both):.3f} |"
        print(cells if name in refused else f"{cells} | |", flush=True)
    ok = shares["held-out digits"] <= REFUSED_TARGET and min(aurocs) >= AUROC_TARGET
    return bool(ok and shares.get("drawn by people", 0) <= DRAWN_TARGET)


def _measure_mirrored(
    predictor: Predictor, digits: Pixels, labels: Pixels, drawn: Path | None
) -> bool:
    """Print how many digits, as they are and mirrored, get the note "mirrored?"."""
    pairs = {"held-out": (digits, mirror(digits), labels)}
    if drawn:
        pictures, own_labels = zip(*_read_drawn(drawn), strict=True)
        images, mirrored = (
            np.stack([prepare(one).image for one in each])
            for each in (
                pictures,
                [one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in pictures],
            )
        )
        pairs["drawn by people"] = images, mirrored, np.array(own_labels)
    ok = True
    for name, (images, mirrored, truth) in pairs.items():
        noted, false = (
            np.array([assess(predictor, image)[1] for image in each]) for each in (mirrored, images)
        )
        print(f"\n| {name} | mirrored, noted | not mirrored, noted |\n|---|---|---|")
        for digit in range(10):
            own = truth == digit
            print(f"| {digit} | {noted[own].sum()} of {own.sum()} | {false[own].sum()} |")
        asymmetric = ~np.isin(truth, SYMMETRIC)
        print(f"| all asymmetric | {noted[asymmetric].mean():.3f} | {false.mean():.4f} |")
        ok &= bool(noted[asymmetric].mean() >= MIRRORED_TARGET and false.mean() <= REFUSED_TARGET)
    return ok


def _read_drawn(folder: Path) -> list[tuple[Image.Image, int]]:
    return [(open_picture(path, path.name), label) for path, label in read_labels(folder)]


def _prepare(pictures: list[Image.Image]) -> Pixels:
    prepared = map(prepare, pictures)
    return np.stack([one.image for one in prepared if one.note != NO_DIGIT])


def _fit(images: Pixels, labels: NDArray[np.uint8], fonts: list[str], path: Path) -> None:
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    held_out, rows = order[: len(order) // 10], order[len(order) // 10 :]
    digits, labels = images[rows], labels[rows]
    printed = np.stack([_shrink(_text(rng.choice(list("0123456789")), rng.choice(fonts), rng))
                        for _ in range(8_000)])  # fmt: skip
    moved = np.stack([_distort(image, rng) for image in digits])
    positive = np.concatenate([digits, moved, printed])
    negative = np.concatenate([
        *_other_digits(digits, labels, rng),
        np.stack([_shrink(_strokes(rng)) for _ in range(25_000)]),
        np.stack([_shrink(_text(rng.choice(list(LETTERS + SIGNS)), rng.choice(fonts), rng))
                  for _ in range(25_000)]),
        np.stack([_shrink(_noise(rng)) for _ in range(3_000)]),
        np.stack([_shrink(_blob(rng)) for _ in range(3_000)]),
    ])  # fmt: skip
    both = np.concatenate([positive, negative])
    inputs = np.concatenate([features(both[i : i + 1000]) for i in range(0, len(both), 1000)])
    network = MLPClassifier((64,), alpha=3e-3, batch_size=256, max_iter=12, random_state=0)
    network.fit(inputs, np.repeat([0, 1], [len(positive), len(negative)]))
    arrays = {
        "hidden": network.coefs_[0],
        "hidden_bias": network.intercepts_[0],
        "output": network.coefs_[1][:, 0],
        "output_bias": network.intercepts_[1],
    }
    hidden = np.maximum(features(images[held_out]) @ arrays["hidden"] + arrays["hidden_bias"], 0)
    logits = hidden @ arrays["output"] + arrays["output_bias"]
    shares = 1 - np.geomspace(1, 1 / len(held_out), 60)
    arrays |= {"quantiles": np.quantile(logits, shares), "shares": shares}
    np.savez_compressed(path, **{
        name: values.astype(np.float16 if name == "hidden" else np.float32)
        for name, values in arrays.items()
    })  # fmt: skip


def _other_digits(digits: Pixels, labels: NDArray[np.uint8], rng: Generator) -> list[Pixels]:
    """Digits that were mirrored, turned, put together from halves, or scribbled over."""
    asymmetric = np.flatnonzero(~np.isin(labels, SYMMETRIC))
    turnable = np.flatnonzero(np.isin(labels, TURNABLE))
    mirrored = np.stack([_distort(digits[i, :, ::-1], rng) for i in rng.choice(asymmetric, 8_000)])
    turned = np.rot90(digits[rng.choice(turnable, 5_000)], int(rng.choice([1, 3])), (1, 2))
    first, second = rng.integers(0, len(digits), (2, 8_000))
    differ = labels[first] != labels[second]
    first, second = first[differ], second[differ]
    stacked, beside = digits[first].copy(), digits[first[::2]].copy()
    stacked[:, SIDE // 2 :] = digits[second][:, SIDE // 2 :]
    beside[:, :, SIDE // 2 :] = digits[second[::2]][:, :, SIDE // 2 :]
    marked = []
    for image in digits[rng.integers(0, len(digits), 10_000)]:
        picture = Image.fromarray(image).resize((112, 112), Image.Resampling.BICUBIC)
        for _ in range(rng.integers(1, 4)):
            _draw_primitive(ImageDraw.Draw(picture), rng, [], 112, int(rng.integers(6, 14)), 0.35)
        marked.append(_shrink(Image.fromarray(255 - np.asarray(picture))))
    return [mirrored, turned, stacked, beside, np.stack(marked)]


def _draw_primitive(  # noqa: PLR0917
    draw: ImageDraw.ImageDraw,
    rng: Generator,
    ends: list[NDArray[np.float64]],
    side: int,
    width: int,
    size: float = 0.6,
) -> None:
    """Draw a line, curve, ellipse, zigzag or dot in ink, often from one of the earlier ends."""

    def anchor() -> NDArray[np.float64]:
        lattice = rng.integers(0, 3, 2) / 2 - 0.5 + rng.uniform(-0.12, 0.12, 2)
        return np.asarray((0.5 + size * lattice) * side)

    start = ends[rng.integers(len(ends))] if ends and rng.random() < 0.6 else anchor()
    kind = rng.choice(
        ["line", "curve", "ellipse", "zigzag", "dot"], p=[0.38, 0.34, 0.14, 0.06, 0.08]
    )
    if kind == "dot":
        radius = rng.uniform(0.03, 0.12) * side
        draw.ellipse([*(start - radius), *(start + radius)], fill=255)
        ends.append(start)
        return
    steps = np.linspace(0, 1, 28)[:, None]
    if kind == "line":
        points = np.stack([start, anchor()])
    elif kind == "curve":
        middle, end = anchor(), anchor()
        middle = middle + (middle - (start + end) / 2) * rng.uniform(0, 1)
        points = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * middle + steps**2 * end
    elif kind == "ellipse":
        angle = 2 * np.pi * steps
        radii = rng.uniform(0.08, 0.55, 2) * size * side
        points = start + radii * np.hstack([np.cos(angle), np.sin(angle)])
    else:
        points = np.stack([anchor() for _ in range(rng.integers(3, 8))])
    draw.line([tuple(point) for point in points], fill=255, width=width, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=255)
    ends += [points[0], points[-1], points[len(points) // 2]]


def _strokes(rng: Generator) -> Image.Image:
    """Draw one to five random primitives, joined as those of letters are."""
    ink, ends = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 0), list[NDArray[np.float64]]()
    width = int(rng.integers(9, 24))
    for _ in range(rng.choice([1, 2, 3, 4, 5], p=[0.1, 0.3, 0.3, 0.2, 0.1])):
        _draw_primitive(ImageDraw.Draw(ink), rng, ends, SIDE_DRAWN, width)
    return Image.fromarray(255 - np.asarray(ink))


def _text(letter: str, font: str, rng: Generator) -> Image.Image:
    """Print a letter, a little turned, sheared and stretched, thinner or bolder."""
    picture = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 255)
    type_ = ImageFont.truetype(font, 90)
    middle = SIDE_DRAWN / 2
    ImageDraw.Draw(picture).text((middle, middle), letter, font=type_, fill=0, anchor="mm")
    picture = _affine(picture, rng, 8, 0.2, 0.15, 255)
    filters = [
        None,
        None,
        ImageFilter.MinFilter(3),
        ImageFilter.MinFilter(7),
        ImageFilter.MaxFilter(3),
    ]
    chosen = filters[rng.integers(len(filters))]
    return picture.filter(chosen) if chosen else picture


def _affine(  # noqa: PLR0917
    picture: Image.Image, rng: Generator, degrees: float, shear: float, stretch: float, fill: int
) -> Image.Image:
    angle, tilt = np.deg2rad(rng.normal(0, degrees)), rng.normal(0, shear)
    wide, high = np.exp(rng.normal(0, stretch, 2))
    matrix = np.array([[np.cos(angle) * wide, tilt - np.sin(angle)], [np.sin(angle), high]])
    centre = np.full(2, (picture.width - 1) / 2)
    x, y = centre - matrix @ centre
    (a, b), (c, d) = matrix.tolist()
    return picture.transform(picture.size, Image.Transform.AFFINE, (a, b, x, c, d, y),
                             Image.Resampling.BILINEAR, fillcolor=fill)  # fmt: skip


def _distort(image: Pixels, rng: Generator) -> Pixels:
    return np.asarray(_affine(Image.fromarray(image), rng, 6, 0.08, 0.06, 0))


def _shrink(picture: Image.Image) -> Pixels:
    """Cut dark ink on white out and place it in 28 × 28, without the steps of ``prepare``."""
    ink = Image.fromarray(255 - np.asarray(picture))
    box = ink.getbbox()
    if box is None:
        return np.zeros((SIDE, SIDE), np.uint8)
    ink = ink.crop(box)
    factor = BOX / max(ink.size)
    size = max(1, round(ink.width * factor)), max(1, round(ink.height * factor))
    how = Image.Resampling.BOX if factor < 0.5 else Image.Resampling.BICUBIC
    return center_by_mass(np.asarray(ink.resize(size, how), np.float32) / np.float32(255))


def _blob(rng: Generator) -> Image.Image:
    picture = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 255)
    radii, middle = rng.uniform(5, 40, 2), SIDE_DRAWN / 2
    if rng.random() < 0.6:
        radii[1] = radii[0] * rng.uniform(0.8, 1.25)
    ImageDraw.Draw(picture).ellipse([*(middle - radii), *(middle + radii)], fill=0)
    return _affine(picture, rng, 30, 0.1, 0.1, 255)


def _noise(rng: Generator) -> Image.Image:
    """Random pixels or spots, alone on white or over the whole picture."""
    spots = rng.uniform(0, 255, (int(rng.integers(6, 60)),) * 2).astype(np.uint8)
    how = (Image.Resampling.NEAREST, Image.Resampling.BICUBIC)[rng.integers(2)]
    values = np.asarray(Image.fromarray(spots).resize((SIDE_DRAWN, SIDE_DRAWN), how)).copy()
    if rng.random() < 0.5:
        values[(values > rng.integers(60, 200))] = 255
    margin = int(rng.integers(0, 50))
    framed = np.full_like(values, 255)
    inside = slice(margin, SIDE_DRAWN - margin)
    framed[inside, inside] = values[inside, inside]
    return Image.fromarray(framed)


def _scribble(rng: Generator) -> Image.Image:
    """One long smooth stroke through random points."""
    corners = rng.uniform(25, SIDE_DRAWN - 25, (int(rng.integers(5, 14)), 2))
    at = np.linspace(0, len(corners) - 1, 12 * len(corners))
    path = np.stack([np.interp(at, np.arange(len(corners)), axis) for axis in corners.T])
    smooth = [np.convolve(np.pad(axis, 4, "edge"), np.full(9, 1 / 9), "valid") for axis in path]
    picture = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 255)
    points = [tuple(point) for point in np.stack(smooth, axis=1)]
    ImageDraw.Draw(picture).line(points, fill=0, width=int(rng.integers(5, 12)), joint="curve")
    return picture


def _smiley(rng: Generator) -> Image.Image:
    picture = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 255)
    draw, width, radius = ImageDraw.Draw(picture), int(rng.integers(5, 11)), rng.uniform(40, 65)
    x, y = rng.uniform(72, 88, 2)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=0, width=width)
    for side in (-1, 1):
        eye, left, top = rng.uniform(3, 8), x + 0.35 * side * radius, y - 0.3 * radius
        draw.ellipse([left - eye, top - eye, left + eye, top + eye], fill=0)
    half = radius / 2
    draw.arc([x - half, y - half, x + half, y + half], 20, 160, fill=0, width=width)
    return picture


def _shape(rng: Generator) -> Image.Image:
    """A square, triangle, cross, star, tick, arrow or heart."""
    turns = np.linspace(0, 2 * np.pi, 60)
    heart = np.stack([16 * np.sin(turns) ** 3, -13 * np.cos(turns) + 5 * np.cos(2 * turns)], 1) / 17
    star = np.stack([np.sin(0.8 * np.pi * np.arange(6)), -np.cos(0.8 * np.pi * np.arange(6))], 1)
    shapes: list[list[object]] = [
        [[(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]],
        [[(0, -1), (1, 1), (-1, 1), (0, -1)]],
        [[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]],
        [[(0, -1), (0, 1)], [(-1, 0), (1, 0)]],
        [[(-1, 0), (-0.3, 1), (1, -1)]],
        [[(-1, 0), (1, 0), (0.4, -0.5)], [(1, 0), (0.4, 0.5)]],
        [star],
        [heart],
    ]
    picture = Image.new("L", (SIDE_DRAWN, SIDE_DRAWN), 255)
    width, radius = int(rng.integers(6, 13)), rng.uniform(35, 55)
    for line in shapes[rng.integers(len(shapes))]:
        points = [tuple(point) for point in SIDE_DRAWN / 2 + radius * np.array(line)]
        ImageDraw.Draw(picture).line(points, fill=0, width=width, joint="curve")
    return _affine(picture, rng, 6, 0.1, 0.1, 255)


# Kinds that are measured. Noise and dots are fitted, too; the others are new to the detector.
DRAWINGS: dict[str, Callable[[Generator], Image.Image]] = {
    "scribbles": _scribble,
    "smileys": _smiley,
    "shapes": _shape,
    "dots": _blob,
    "noise": _noise,
}

if __name__ == "__main__":
    raise SystemExit(main())
