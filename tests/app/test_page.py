"""The page of kd app in a real browser: drawing, taking back, giving it pictures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.browsing import needs_chromium
from tests.support.hands import (
    Open,
    answer,
    draw,
    hand_over,
    ink_drawn,
    ink_seen,
    places,
    wait_blank,
)
from tests.support.pictures import draw_digit, encode
from tests.support.strokes import DIGITS, Points

pytestmark = needs_chromium


def test_ten_digits_are_read_as_they_are_drawn(opened: Open) -> None:
    page = opened()
    assert page.locator("#digit").inner_text() == "?"
    for number, strokes in enumerate(DIGITS, 1):
        draw(page, strokes)
        digit = answer(page)
        assert digit in set("0123456789")
        assert page.locator("#bars .best b").inner_text() == digit
        shares = page.locator("#bars .value").all_inner_texts()
        total = sum(float(re.sub(r"[^\d.]", "", share)) for share in shares)
        assert total == pytest.approx(100, abs=1)
        assert page.locator("#second").inner_text().startswith("Second guess: ")
        assert 20 < ink_seen(page) < 400
        page.get_by_role("button", name="Clear").click()
        wait_blank(page)
        assert ink_seen(page) == ink_drawn(page) == 0
        assert page.locator("#strip li").count() == number
    spoken = page.locator("#spoken")
    draw(page, DIGITS[1])
    expect(spoken).to_have_text(re.compile(r"^Reads \d, "))
    assert spoken.get_attribute("aria-live") == "polite"


def test_the_answer_comes_while_one_draws_and_soon_after(opened: Open) -> None:
    page = opened()
    first, *rest = places(page, DIGITS[3][0])
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest[: len(rest) // 2]:
        page.mouse.move(*place)
    assert answer(page), "the pen is still down"
    for place in rest[len(rest) // 2 :]:
        page.mouse.move(*place)
    with page.expect_response("**/api/classify*"):
        page.mouse.up()


def test_one_question_at_a_time(opened: Open) -> None:
    page = opened()
    under_way, most, asked = [0], [0], [0]

    def begins(request: Any) -> None:
        if "classify" in request.url:
            asked[0] += 1
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])

    def ends(request: Any) -> None:
        under_way[0] -= "classify" in request.url

    page.on("request", begins)
    page.on("requestfinished", ends)
    draw(page, DIGITS[8])
    answer(page)
    assert most[0] == 1
    assert asked[0] >= 2


def test_a_finger_draws_and_the_page_stays(opened: Open) -> None:
    page = opened(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def send(kind: str, at: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y} for x, y in at]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for points in DIGITS[7]:
        first, *rest = places(page, points)
        send("touchStart", [first])
        for place in rest:
            send("touchMove", [place])
        send("touchEnd", [])
    assert answer(page) in set("0123456789")
    assert ink_drawn(page) > 1000
    assert page.evaluate("scrollY") == 0


def test_a_pen_draws(opened: Open) -> None:
    page = opened()
    pen = page.context.new_cdp_session(page)
    kinds = ["mousePressed", *["mouseMoved"] * 20, "mouseReleased"]
    points = places(page, [(0.5, 0.2 + 0.6 * k / 21) for k in range(22)])
    for kind, (x, y) in zip(kinds, points, strict=True):
        more = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        pen.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})
    assert answer(page) in set("0123456789")


def test_strokes_are_taken_back_and_what_was_cleared_returns(opened: Open) -> None:
    page = opened()
    undo = page.get_by_role("button", name="Undo")
    assert undo.get_attribute("aria-disabled") == "true"
    one, two = DIGITS[4]
    draw(page, [one])
    answer(page)
    some = ink_drawn(page)
    draw(page, [two])
    answer(page)
    whole = ink_drawn(page)
    assert whole > some
    undo.click()
    assert ink_drawn(page) == pytest.approx(some, rel=0.01)
    page.keyboard.press("Control+z")
    wait_blank(page)
    assert ink_drawn(page) == 0
    assert page.locator("#strip li").count() == 0, "what is taken back is not kept"
    for key in ("Escape", "Delete"):
        draw(page, DIGITS[4])
        answer(page)
        page.keyboard.press(key)
        wait_blank(page)
    page.keyboard.press("Control+z")
    answer(page)
    assert ink_drawn(page) == pytest.approx(whole, rel=0.01)
    assert page.locator("#strip li").count() == 1


def test_the_brush_is_as_wide_as_it_says(opened: Open) -> None:
    page = opened()
    line: list[Points] = [[(0.2, 0.5), (0.8, 0.5)]]
    inks = []
    for key in ("Home", "End"):
        page.locator("#brush").focus()
        page.keyboard.press(key)
        draw(page, line)
        inks.append(ink_drawn(page))
        page.keyboard.press("Escape")
    assert inks[1] > 5 * inks[0]


@pytest.mark.parametrize("way", ["upload", "drop", "paste"])
def test_a_picture_is_shown_and_sent_as_it_is(opened: Open, way: str) -> None:
    page = opened()
    draw(page, DIGITS[0])
    answer(page)
    data = encode(draw_digit(4, 300), "JPEG", quality=90)
    # A browser tells no client what a file that it sends holds: the page itself is asked.
    page.evaluate("""() => {
      const ask = window.fetch;
      window.fetch = (address, options) => ((window.sent = options.body), ask(address, options));
    }""")
    with page.expect_response("**/api/classify*") as found:
        if way == "upload":
            page.set_input_files(
                "#upload", {"name": "four.jpg", "mimeType": "image/jpeg", "buffer": data}
            )
        else:
            hand_over(page, data, way, "image/jpeg")
    assert answer(page) == str(found.value.json()["digit"])
    sent = page.evaluate("async () => [...new Uint8Array(await window.sent.arrayBuffer())]")
    assert bytes(sent) == data
    assert found.value.request.headers["content-type"] == "image/jpeg"
    picture = page.locator("#picture")
    assert picture.evaluate("image => image.naturalWidth") == 300
    box, paper = picture.bounding_box(), page.locator("#paper").bounding_box()
    assert box
    assert paper
    assert box["width"] <= paper["width"]
    assert page.locator("#strip li").count() == 1, "the drawing before it is kept"
    draw(page, DIGITS[1])
    assert answer(page)
    assert not picture.is_visible()
    assert page.locator("#strip img").count() == 1, "and so is the picture"
    page.locator("#strip li button").first.click()
    answer(page)
    assert picture.is_visible()


def test_what_cannot_be_read_is_said_in_one_line(opened: Open) -> None:
    page = opened(quiet=False)
    trouble = page.get_by_role("alert")
    with page.expect_response("**/api/classify*") as found:
        hand_over(page, b"hello", "drop", "text/plain")
    trouble.wait_for()
    said = found.value.json()["detail"]
    assert trouble.inner_text().lower() == said.lower()
    assert page.locator("#sure").inner_text() == "No answer"
    draw(page, DIGITS[1])
    answer(page)
    assert not trouble.is_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hand_over(page, bytes(10_000_001), "paste")
    assert "larger than 10 MB" in trouble.inner_text()
    page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', {}))")
    assert "no picture" in trouble.inner_text()
    assert not [url for url in asked if "classify" in url]


def test_no_digit_and_two_digits_are_said(opened: Open) -> None:
    page = opened()
    hand_over(page, encode(Image.new("L", (80, 80), 255)), "drop")
    wait_blank(page, "No digit found")
    two = [[(x * 0.4 + shift, y) for x, y in DIGITS[1][0]] for shift in (0.05, 0.5)]
    draw(page, two)
    answer(page)
    page.wait_for_selector("#note:visible")
    assert page.locator("#note").inner_text() == "Looks like more than one digit"
