"""What a hand does on the page of kd app, and what an eye sees there."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.strokes import Points

Open = Callable[..., Page]

HAND_OVER = """([bytes, name, kind, event]) => {
  const raw = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([raw], name, { type: kind }));
  const what = event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("pad").dispatchEvent(what);
}"""
# Read from a copy: a canvas that is read itself makes Chromium give advice.
INK = """([id, channel]) => {
  const canvas = document.getElementById(id);
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  return data.filter((value, k) => k % 4 === channel && value > 128).length;
}"""


def places(page: Page, points: Points) -> list[tuple[float, float]]:
    box = page.locator("#pad").bounding_box()
    assert box
    side = box["width"]
    return [(box["x"] + x * side, box["y"] + y * side) for x, y in points]


def draw(page: Page, strokes: list[Points]) -> None:
    for points in strokes:
        first, *rest = places(page, points)
        page.mouse.move(*first)
        page.mouse.down()
        for place in rest:
            page.mouse.move(*place)
        page.mouse.up()


def answer(page: Page) -> str:
    """The digit that the page shows, once the model has read what is on the sheet."""
    expect(page.locator("#sure")).to_have_text(re.compile("sure$"))
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    return page.locator("#digit").inner_text()


def ink_drawn(page: Page) -> int:
    return int(page.evaluate(INK, ["pad", 3]))


def ink_seen(page: Page) -> int:
    return int(page.evaluate(INK, ["seen", 0]))


def wait_blank(page: Page, words: str = "Nothing drawn yet") -> None:
    expect(page.locator("#sure")).to_have_text(words)


def hand_over(page: Page, data: bytes, event: str, kind: str = "image/png") -> None:
    page.evaluate(HAND_OVER, [base64.b64encode(data).decode(), "digit", kind, event])
