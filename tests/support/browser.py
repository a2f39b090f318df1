"""A fixture that starts Chromium, for tests of HTML pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.support.pictures import draw_strokes

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
# Set by .ci/run, where a skipped test would prove nothing.
IN_CI = bool(os.environ.get("KD_CI"))
needs_chromium = pytest.mark.skipif(not (CHROMIUM or IN_CI), reason="Chromium is not installed")


def chromium_path() -> str:
    """Return the path of the browser; fail the test without one."""
    if CHROMIUM is None:
        pytest.fail(f"CI needs a browser, but there is none of: {', '.join(NAMES)}")
    return CHROMIUM


def write_camera_video(path: Path) -> None:
    """Write one frame of 640 × 480: a 7 on paper, at 300 to 500 × 120 to 320."""
    picture = Image.new("L", (640, 480), 200)
    draw_strokes(picture, 7, (300, 120), 200, pen=30)
    colourless = bytes([128]) * (2 * 320 * 240)
    header = b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\nFRAME\n"
    path.write_bytes(header + picture.tobytes() + colourless)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a module, with a camera that shows a 7."""
    video = tmp_path_factory.mktemp("camera") / "seven.y4m"
    write_camera_video(video)
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        yield chromium
        chromium.close()
