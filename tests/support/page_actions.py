"""Actions of a user on the page of kd app, and what the page shows."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.strokes import Points

OpenPage = Callable[..., Page]

TRANSFER_FILE = """([bytes, name, mediaType, event]) => {
  const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([content], name, { type: mediaType }));
  const transfer = event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("pad").dispatchEvent(transfer);
}"""
# Reads a copy: Chromium logs a performance hint when a canvas itself is read.
COUNT_BRIGHT = """([id, channel]) => {
  const canvas = document.getElementById(id);
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  return data.filter((value, k) => k % 4 === channel && value > 128).length;
}"""


def to_pixels(page: Page, points: Points) -> list[tuple[float, float]]:
    """Return the screen positions of points of the drawing area."""
    box = page.locator("#pad").bounding_box()
    assert box
    side = box["width"]
    return [(box["x"] + x * side, box["y"] + y * side) for x, y in points]


def draw(page: Page, strokes: list[Points]) -> None:
    """Draw strokes with the mouse."""
    for points in strokes:
        first, *rest = to_pixels(page, points)
        page.mouse.move(*first)
        page.mouse.down()
        for position in rest:
            page.mouse.move(*position)
        page.mouse.up()


def wait_for_digit(page: Page) -> str:
    """Return the predicted digit once the newest drawing was classified."""
    expect(page.locator("#confidence")).to_have_text(re.compile("confidence$"))
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    return page.locator("#digit").inner_text()


def wait_for_no_digit(page: Page, text: str = "Nothing drawn yet") -> None:
    """Wait until the page shows ``text`` instead of a prediction."""
    expect(page.locator("#confidence")).to_have_text(text)


def drawn_pixels(page: Page) -> int:
    """Count the opaque pixels of the drawing area."""
    return bright_pixels(page, "pad", 3)


def input_pixels(page: Page) -> int:
    """Count the bright pixels of the network's input."""
    return bright_pixels(page, "input", 0)


def bright_pixels(page: Page, canvas: str, channel: int) -> int:
    """Count the pixels of a canvas whose channel, 0 to 3 for red to alpha, is above 128."""
    return int(page.evaluate(COUNT_BRIGHT, [canvas, channel]))


def transfer_file(page: Page, data: bytes, event: str, media_type: str = "image/png") -> None:
    """Drop or paste a file; ``event`` is "drop" or "paste"."""
    content = base64.b64encode(data).decode()
    page.evaluate(TRANSFER_FILE, [content, "digit", media_type, event])
