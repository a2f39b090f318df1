"""The page without a server: kd app --export, and the preparation of drawings in JavaScript."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import expect
from typer.testing import CliRunner

from kaggle_digits.app import static_page
from kaggle_digits.app.static_page import RUNTIME, export_page
from kaggle_digits.cli.main import app
from kaggle_digits.core.environment import cache_folder
from kaggle_digits.core.errors import StorageError, UsageError
from kaggle_digits.imaging.background import ink_mask
from kaggle_digits.imaging.loading import open_picture, prepare
from kaggle_digits.inference.predictor import load_predictor
from kaggle_digits.runs.store import open_run
from tests.support.browser import needs_chromium
from tests.support.page_actions import OpenPage, draw, transfer_file, wait_for_digit
from tests.support.pictures import draw_digit, encode
from tests.support.strokes import DIGITS

DRAWN = Path(__file__).parents[3] / "shared" / "drawn"
SHEET = 168  # pixels of a drawing that the page sends
PREPARE = """async (sheets) => {
  const { prepare } = await import("/page/prepare.js");
  return sheets.map((sheet) => {
    const grey = Uint8Array.from(atob(sheet), (letter) => letter.charCodeAt(0));
    const data = new Uint8ClampedArray(4 * grey.length);
    grey.forEach((value, k) => data.fill(value, 4 * k, 4 * k + 3));
    const { image, note } = prepare({ width: 168, height: 168, data });
    return { image: [...image], note };
  });
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Yield the URL of a static web server."""
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def draw_synthetic() -> list[Image.Image]:
    """Return drawings with thin to thick pens, two digits, at the edge, a dot and nothing."""
    sheets = []

    def add(strokes: list[list[tuple[float, float]]], width: int, shift: float = 0) -> None:
        fine = Image.new("L", (4 * SHEET, 4 * SHEET), 255)
        for points in strokes:
            places = [(4 * SHEET * (x + shift), 4 * SHEET * y) for x, y in points]
            ImageDraw.Draw(fine).line(places, fill=0, width=4 * width, joint="curve")
        sheets.append(fine.resize((SHEET, SHEET), Image.Resampling.BOX))

    for number, strokes in enumerate(DIGITS):
        add(strokes, (3, 12, 24)[number % 3])
    add(DIGITS[4], 12, shift=0.33)
    add([*([(x - 0.25, y) for x, y in part] for part in DIGITS[1]), DIGITS[7][0]], 9)
    add([[(0.5, 0.5), (0.52, 0.51)]], 12)
    add([], 1)
    return sheets


def on_sheet(picture: Image.Image) -> Image.Image | None:
    """Return a digit as if it were drawn on the sheet: with black strokes, in its middle."""
    ink = ink_mask(np.asarray(picture.convert("RGB"), np.float32) / np.float32(255))
    if ink is None:
        return None
    strokes = Image.fromarray((255 * ink).astype(np.uint8)).resize((448, 448))
    sheet = Image.new("L", (SHEET, SHEET), 255)
    crisp = strokes.point(lambda value: 255 * (value < 128))
    sheet.paste(crisp.resize((112, 112), Image.Resampling.BOX), (28, 28))
    return sheet


def assert_prepared_equally(open_page: OpenPage, sheets: list[Image.Image]) -> None:
    """Assert that JavaScript and Python prepare the same image, within rounding."""
    encoded = [base64.b64encode(sheet.tobytes()).decode() for sheet in sheets]
    results = open_page().evaluate(PREPARE, encoded)
    for number, (sheet, result) in enumerate(zip(sheets, results, strict=True)):
        prepared = prepare(sheet)
        image: NDArray[np.int64] = np.reshape(result["image"], (28, 28))
        assert np.abs(image - prepared.image).max() <= 1, f"sheet {number}"
        assert result["note"] == prepared.note


@needs_chromium
def test_drawings_are_prepared_as_by_the_server(open_page: OpenPage) -> None:
    assert_prepared_equally(open_page, draw_synthetic())


@needs_chromium
@pytest.mark.skipif(not DRAWN.is_dir(), reason="shared/drawn is not beside the checkout")
def test_digits_drawn_by_people_are_prepared_as_by_the_server(open_page: OpenPage) -> None:
    pictures = [open_picture(path, path.name) for path in sorted(DRAWN.glob("*.png"))[::2]]
    sheets = [sheet for picture in pictures if (sheet := on_sheet(picture))]
    assert len(sheets) > 50
    assert_prepared_equally(open_page, sheets)


@pytest.fixture(scope="module")
def exported(runs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with a run, exported by the command."""
    folder = tmp_path_factory.mktemp("exported") / "my site"
    command = ["app", "--export", str(folder), "--runs-dir", str(runs_dir)]
    result = CliRunner().invoke(app, command)
    if result.exit_code and RUNTIME in result.output:
        pytest.skip(result.output)
    assert result.exit_code == 0, result.output
    assert f"python -m http.server -d '{folder}'" in result.output.replace("\n", " ")
    return folder


@needs_chromium
def test_exported_page_reads_drawings_in_the_browser(
    open_page: OpenPage, exported: Path, runs_dir: Path
) -> None:
    predictor = load_predictor(runs_dir)
    with serve_folder(exported) as address:
        page = open_page(at=address)
        assert page.locator("#run option").all_inner_texts() == ["dense · 95.00\xa0%"]
        for strokes in (DIGITS[1], DIGITS[4], DIGITS[7]):
            draw(page, strokes)
            digit = wait_for_digit(page)
            image = np.array(
                page.evaluate("""() => {
              const context = new OffscreenCanvas(28, 28).getContext("2d");
              context.drawImage(document.getElementById("input"), 0, 0);
              return [...context.getImageData(0, 0, 28, 28).data.filter((_, k) => k % 4 === 0)];
            }""")
            )
            (expected,) = predictor.predict_proba(image.reshape(1, 28, 28).astype(np.uint8))
            assert digit == str(expected.argmax())
            shares = [
                0.0 if share.startswith("<") else float(share.lstrip(">").split("\xa0")[0])
                for share in page.locator("#bars .value").all_inner_texts()
            ]
            assert shares == pytest.approx(100 * expected, abs=0.11)
            page.keyboard.press("Escape")
        for hidden in ("#upload", "#camera", "#steps", "#occlusion", "#corrections"):
            assert not page.locator(hidden).is_visible()
        transfer_file(page, encode(draw_digit(7)), "drop")
        expect(page.locator("#error")).to_have_text(
            "This page reads drawings only; kd app reads pictures, too"
        )
        draw(page, DIGITS[3])
        wait_for_digit(page)


def test_exported_folder_is_complete(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == ["index.html", "page"]
    html = (exported / "index.html").read_text(encoding="utf-8")
    assert 'http-equiv="Content-Security-Policy"' in html
    assert static_page.PICTURE_HINT not in html
    assert json.loads((exported / "page" / "run.json").read_text()) == {
        "name": "dense",
        "accuracy": 0.95,
    }


def test_existing_folder_is_kept(runs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").touch()
    with pytest.raises(UsageError, match="site already exists"):
        export_page(open_run(runs_dir, "dense"), tmp_path / "site")
    assert (tmp_path / "site" / "mine.txt").exists()
    result = CliRunner().invoke(app, ["app", "--force", "--runs-dir", str(runs_dir)])
    assert "--force needs --export" in result.output


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of cached files, without any."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.mark.parametrize(
    ("npm", "words"),
    [(None, "needs npm, a part of Node.js"), ("missing-npm", r"npm cannot download .* try again")],
)
def test_missing_runtime_is_explained(
    npm: str | None, words: str, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: npm)
    with pytest.raises((UsageError, StorageError), match=words) as caught:
        static_page._add_runtime(tmp_path)
    assert str(empty_cache / "onnxruntime-web-1.30.0.tgz") in str(caught.value)
    assert not list(empty_cache.iterdir())


def test_other_files_than_the_published_ones_are_refused(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_other(command: list[str], cwd: str, **settings: Any) -> None:
        Path(cwd, "onnxruntime-web-1.30.0.tgz").write_bytes(b"other")

    monkeypatch.setattr(shutil, "which", lambda name: "npm")
    monkeypatch.setattr(subprocess, "run", write_other)
    page = tmp_path / "page"
    page.mkdir()
    with pytest.raises(StorageError, match="as published; it was deleted"):
        static_page._add_runtime(page)
    assert not list(page.iterdir())
    assert not list(empty_cache.iterdir())
