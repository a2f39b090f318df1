"""The page of kd app in Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Request, Route, expect

from kaggle_digits.app import api
from kaggle_digits.imaging.labelled_folder import read_labels
from tests.support.app_server import serve_app
from tests.support.browser import needs_chromium
from tests.support.page_actions import (
    OpenPage,
    bright_pixels,
    draw,
    drawn_pixels,
    input_pixels,
    to_pixels,
    transfer_file,
    wait_for_digit,
    wait_for_no_digit,
)
from tests.support.pictures import draw_digit, draw_strokes, encode
from tests.support.strokes import DIGITS, Points

pytestmark = needs_chromium
DOTS = 150  # of the embedding
STORE = "kaggle-digits: earlier drawings"
UNLABELLED_CONTROLS = """[...document.querySelectorAll("button, input, select")].filter((one) =>
  !(one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim())).length"""
SUM_CHANNEL = """([id, channel]) => {
  const context = new OffscreenCanvas(28, 28).getContext("2d");
  context.drawImage(document.getElementById(id), 0, 0);
  const { data } = context.getImageData(0, 0, 28, 28);
  return data.reduce((sum, value, k) => sum + (k % 4 === channel ? value : 0), 0);
}"""
# Made in the page: to send so many bytes to the browser takes seconds.
PASTE_LARGE_FILE = """() => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(10_000_001)], "digit", { type: "image/png" }));
  const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.getElementById("pad").dispatchEvent(paste);
}"""
PLACES = "each => each.map(one => document.querySelector(one).getBoundingClientRect().toJSON())"
ANIMATED_ELEMENTS = """[...document.querySelectorAll("*")].filter((one) =>
  getComputedStyle(one).transitionDuration !== "0s").length"""


@pytest.fixture(scope="module", autouse=True)
def few_dots() -> Iterator[None]:
    """A tenth of the usual points, which the browser draws again after each prediction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "MAX_POINTS", DOTS)
        yield


def count_concurrent_requests(page: Page) -> list[int]:
    """Return a list that gets the number of classifications under way whenever one begins."""
    counts, under_way = list[int](), set[Request]()

    def begin(request: Request) -> None:
        if "classify" in request.url:
            under_way.add(request)
            counts.append(len(under_way))

    def end(request: Request) -> None:
        under_way.discard(request)

    page.on("request", begin)
    page.on("response", lambda response: end(response.request))  # before the page can send another
    page.on("requestfailed", end)
    return counts


def test_ten_digits_are_classified(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="no-preference")
    assert page.locator("#digit").inner_text() == "?"
    for number, strokes in enumerate(DIGITS, 1):
        draw(page, strokes)
        digit = wait_for_digit(page)
        assert digit in set("0123456789")
        assert page.locator("#bars .best b").inner_text() == digit
        shares = page.locator("#bars .value").all_inner_texts()
        total = sum(float(re.sub(r"[^\d.]", "", share)) for share in shares)
        assert total == pytest.approx(100, abs=1)
        assert page.locator("#runner-up").inner_text().startswith("Second choice: ")
        assert 20 < input_pixels(page) < 400
        page.get_by_role("button", name="Clear").click()
        wait_for_no_digit(page)
        assert input_pixels(page) == drawn_pixels(page) == 0
        assert page.locator("#history li").count() == number
    spoken = page.locator("#announcement")
    draw(page, DIGITS[1])
    expect(spoken).to_have_text(re.compile(r"^Predicted \d, "))
    assert spoken.get_attribute("aria-live") == "polite"


def test_prediction_appears_while_drawing(open_page: OpenPage) -> None:
    page = open_page()
    first, *rest = to_pixels(page, DIGITS[3][0])
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest[: len(rest) // 2]:
        page.mouse.move(*place)
    assert wait_for_digit(page), "the button is still pressed"
    for place in rest[len(rest) // 2 :]:
        page.mouse.move(*place)
    with page.expect_response("**/api/classify*"):
        page.mouse.up()


def test_one_request_at_a_time(open_page: OpenPage) -> None:
    page = open_page()
    most = count_concurrent_requests(page)
    draw(page, DIGITS[8])
    wait_for_digit(page)
    assert max(most) == 1
    assert len(most) >= 2


def draw_with_finger(page: Page, strokes: list[Points]) -> None:
    """Draw as ``draw`` does, on a page that has touch."""
    touch = page.context.new_cdp_session(page)

    def send(kind: str, at: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y} for x, y in at]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for points in strokes:
        first, *rest = to_pixels(page, points)
        send("touchStart", [first])
        for place in rest:
            send("touchMove", [place])
        send("touchEnd", [])
    touch.detach()


def test_drawing_with_a_finger_does_not_scroll(open_page: OpenPage) -> None:
    page = open_page(size=(390, 700), has_touch=True, is_mobile=True)
    draw_with_finger(page, DIGITS[7])
    assert wait_for_digit(page) in set("0123456789")
    assert drawn_pixels(page) > 1000
    assert page.evaluate("scrollY") == 0


def test_drawing_with_a_pen(open_page: OpenPage) -> None:
    page = open_page()
    pen = page.context.new_cdp_session(page)
    kinds = ["mousePressed", *["mouseMoved"] * 20, "mouseReleased"]
    points = to_pixels(page, [(0.5, 0.2 + 0.6 * k / 21) for k in range(22)])
    for kind, (x, y) in zip(kinds, points, strict=True):
        more = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        pen.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})
    assert wait_for_digit(page) in set("0123456789")


def test_undo_removes_strokes_and_restores_cleared_drawings(open_page: OpenPage) -> None:
    page = open_page()
    undo = page.get_by_role("button", name="Undo")
    assert undo.get_attribute("aria-disabled") == "true"
    one, two = DIGITS[4]
    draw(page, [one])
    wait_for_digit(page)
    some = drawn_pixels(page)
    draw(page, [two])
    wait_for_digit(page)
    whole = drawn_pixels(page)
    assert whole > some
    undo.click()
    assert drawn_pixels(page) == pytest.approx(some, rel=0.01)
    page.keyboard.press("Control+z")
    wait_for_no_digit(page)
    assert drawn_pixels(page) == 0
    assert page.locator("#history li").count() == 0, "an undone drawing is not kept"
    for key in ("Escape", "Delete"):
        draw(page, DIGITS[4])
        wait_for_digit(page)
        page.keyboard.press(key)
        wait_for_no_digit(page)
    page.keyboard.press("Control+z")
    wait_for_digit(page)
    assert drawn_pixels(page) == pytest.approx(whole, rel=0.01)
    assert page.locator("#history li").count() == 1


def test_brush_width(open_page: OpenPage) -> None:
    page = open_page()
    line: list[Points] = [[(0.2, 0.5), (0.8, 0.5)]]
    inks = []
    for key in ("Home", "End"):
        page.locator("#brush").focus()
        page.keyboard.press(key)
        draw(page, line)
        inks.append(drawn_pixels(page))
        page.keyboard.press("Escape")
    assert inks[1] > 5 * inks[0]


@pytest.mark.parametrize("way", ["upload", "drop", "paste"])
def test_picture_is_shown_and_sent_unchanged(open_page: OpenPage, way: str) -> None:
    page = open_page()
    draw(page, DIGITS[0])
    wait_for_digit(page)
    data = encode(draw_digit(4, 300), "JPEG", quality=90)
    # Playwright cannot see the content of an uploaded file: record it in the page.
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
            transfer_file(page, data, way, "image/jpeg")
    assert wait_for_digit(page) == str(found.value.json()["digit"])
    sent = page.evaluate("async () => [...new Uint8Array(await window.sent.arrayBuffer())]")
    assert bytes(sent) == data
    assert found.value.request.headers["content-type"] == "image/jpeg"
    picture = page.locator("#picture")
    assert picture.evaluate("image => image.naturalWidth") == 300
    box, paper = picture.bounding_box(), page.locator("#paper").bounding_box()
    assert box
    assert paper
    assert box["width"] <= paper["width"]
    assert page.locator("#history li").count() == 1, "the drawing is kept"
    draw(page, DIGITS[1])
    assert wait_for_digit(page)
    assert not picture.is_visible()
    assert page.locator("#history img").count() == 1, "so is the picture"
    page.locator("#history li button").first.click()
    wait_for_digit(page)
    assert picture.is_visible()


def test_invalid_picture_is_reported_in_one_line(open_page: OpenPage) -> None:
    page = open_page(quiet=False)
    trouble = page.get_by_role("alert")
    with page.expect_response("**/api/classify*") as found:
        transfer_file(page, b"hello", "drop", "text/plain")
    trouble.wait_for()
    said = found.value.json()["detail"]
    assert trouble.inner_text().lower() == said.lower()
    assert page.locator("#confidence").inner_text() == "No prediction"
    draw(page, DIGITS[1])
    wait_for_digit(page)
    assert not trouble.is_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(PASTE_LARGE_FILE)
    expect(trouble).to_contain_text("larger than 10 MB")
    page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', {}))")
    assert "no picture" in trouble.inner_text()
    assert not [url for url in asked if "classify" in url]


def test_no_digit_and_several_digits_are_reported(open_page: OpenPage) -> None:
    page = open_page()
    transfer_file(page, encode(Image.new("L", (80, 80), 255)), "drop")
    wait_for_no_digit(page, "No digit found")
    two = [[(x * 0.4 + shift, y) for x, y in DIGITS[1][0]] for shift in (0.05, 0.5)]
    draw(page, two)
    wait_for_digit(page)
    expect(page.locator("#digits li")).to_have_count(2)
    assert page.locator("#digit").inner_text() == "".join(
        page.locator("#digits b").all_inner_texts()
    )
    assert not page.locator("#bars").is_visible()


def test_boxes_and_steps_of_a_photograph(open_page: OpenPage) -> None:
    page = open_page()
    photograph = Image.effect_noise((3000, 2000), 60).point(lambda value: 160 + value // 4)
    for digit, left in ((1, 300), (4, 1200), (7, 2100)):
        draw_strokes(photograph, digit, (left, 700), 500)
    data = encode(photograph)
    assert len(data) > 2_000_000
    with page.expect_request("**/api/classify*") as sent:
        transfer_file(page, data, "drop")
    assert sent.value.headers["content-type"] == "image/jpeg"
    assert page.locator("#picture").evaluate("image => image.naturalWidth") == 2400
    expect(page.locator("#boxes rect")).to_have_count(3, timeout=30_000)
    frames = [page.locator("#boxes rect").nth(k).bounding_box() for k in range(3)]
    shown = page.locator("#boxes").bounding_box()
    assert shown
    for frame, left in zip(frames, (300, 1200, 2100), strict=True):
        assert frame
        middle = (frame["x"] + frame["width"] / 2 - shown["x"]) / shown["width"]
        assert middle == pytest.approx((left + 250) / 3000, abs=0.03)
    transfer_file(page, encode(draw_digit(7)), "drop")
    expect(page.locator("#boxes rect")).to_have_count(1)
    page.get_by_text("Steps of the preparation").click()
    expect(page.locator("#steps li")).to_have_count(5)
    page.get_by_text("Look inside").click()
    expect(page.locator("#activations li").first).to_have_text(re.compile(r"^\d+ units$"))
    page.keyboard.press("Escape")
    expect(page.locator("#boxes rect")).to_have_count(0)


def test_decisive_strokes_are_shown_and_follow_the_drawing(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[4])
    digit = wait_for_digit(page)
    page.get_by_text("Which strokes decided").click()
    text = page.locator("#decisive-text")
    expect(text).to_contain_text(f"the probability of {digit} falls")
    assert bright_pixels(page, "decisive", 0) > 0
    red, blue = (page.evaluate(SUM_CHANNEL, ["decisive", channel]) for channel in (0, 2))
    assert red > blue, "what decided is orange"
    before = text.inner_text()
    with page.expect_response("**/api/occlusion*"):
        page.keyboard.press("Control+z")
    expect(text).not_to_have_text(before)
    page.keyboard.press("Escape")
    expect(text).to_have_text("")
    assert bright_pixels(page, "decisive", 0) == 0


def test_digit_in_front_of_the_camera_is_read(open_page: OpenPage) -> None:
    page = open_page(permissions=["camera"])
    most = count_concurrent_requests(page)
    page.get_by_role("button", name="Camera").click()
    for _ in range(6):  # the first frame may come before the layout is done
        with page.expect_response("**/api/classify*"):
            pass
    assert max(most) == 1, "one request at a time"
    expect(page.locator("#boxes rect")).to_have_count(1)
    digit = page.locator("#digit").inner_text()
    assert digit in set("0123456789")
    frame, video = page.evaluate(PLACES, ["#boxes rect", "#video"])
    scale = (video["width"] - 32) / 640
    assert (frame["x"] - video["x"] - 16) / scale == pytest.approx(330, abs=20)
    assert frame["height"] / scale == pytest.approx(185, abs=25)
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator("#picture")).to_be_visible()
    assert not page.locator("#video").is_visible()
    assert wait_for_digit(page) == digit
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#boxes rect")).to_have_count(1)
    draw(page, DIGITS[1])
    wait_for_digit(page)
    assert page.locator("#video").evaluate("video => video.srcObject") is None
    page.keyboard.press("Escape")
    wait_for_no_digit(page)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "does not allow this page to use the camera"),
        ("delete Navigator.prototype.mediaDevices", "only on https pages"),
        (
            "navigator.mediaDevices.getUserMedia = async () => "
            "{ throw new DOMException('none', 'NotFoundError') }; 0",
            "There is no camera",
        ),
    ],
)
def test_refused_camera_is_explained(open_page: OpenPage, script: str, words: str) -> None:
    page = open_page()
    page.evaluate(script)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#error")).to_contain_text(words)
    assert not page.locator("#video").is_visible()
    draw(page, DIGITS[2])
    wait_for_digit(page)


@pytest.mark.parametrize("start", [(-0.03, 0.5), (1.5, 0.2)])
def test_stroke_that_begins_outside_the_sheet(
    open_page: OpenPage, start: tuple[float, float]
) -> None:
    page = open_page()
    draw(page, [[start, (0.9, 0.5), (0.7, 0.5), (0.5, 0.5), (0.5, 0.6)]])
    wait_for_digit(page)
    assert drawn_pixels(page) > 1000
    assert page.evaluate("String(getSelection())") == ""


def test_eraser_and_redo(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [[(0.2, 0.5), (0.8, 0.5)]])
    wait_for_digit(page)
    line = drawn_pixels(page)
    page.keyboard.press("e")
    draw(page, [[(0.5, 0.3), (0.5, 0.7)]])
    erased = drawn_pixels(page)
    assert erased < 0.9 * line
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert drawn_pixels(page) == 0
    page.get_by_role("button", name="Redo").click()
    assert drawn_pixels(page) == pytest.approx(line, rel=0.01)
    page.keyboard.press("Control+Shift+Z")
    assert drawn_pixels(page) == pytest.approx(erased, rel=0.01)
    assert page.locator("#redo").get_attribute("aria-disabled") == "true"
    wait_for_digit(page)


def test_slow_server_is_told_from_an_empty_sheet(open_page: OpenPage) -> None:
    page = open_page()

    def delay(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    page.route("**/api/classify*", delay)
    draw(page, DIGITS[1])
    assert page.locator("#confidence").inner_text() == "Reading…"
    wait_for_digit(page)


def test_new_runs_appear_without_a_reload(
    open_page: OpenPage, runs_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs_dir / "dense", tmp_path / "dense")
    with serve_app(tmp_path) as address:
        page = open_page(at=address)
        shutil.copytree(runs_dir / "second", tmp_path / "second")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(page.locator("#run option")).to_have_count(2)
        assert page.locator("#run").input_value() == "dense"


@pytest.mark.parametrize("size", [(844, 390), (320, 568), (390, 664)])
def test_phone_shows_sheet_and_prediction_without_scrolling(
    open_page: OpenPage, size: tuple[int, int]
) -> None:
    width, height = size
    page = open_page(size=size)
    draw(page, DIGITS[2])
    wait_for_digit(page)
    for part in ("#pad", "#undo", "#upload", "#camera", "#digit", "#confidence"):
        box = page.locator(part).bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= width, part
        assert box["y"] + box["height"] <= height, part


def test_choosing_a_run_classifies_again(open_page: OpenPage) -> None:
    page = open_page()
    choice = page.get_by_role("combobox", name="Model")
    options = choice.locator("option").all_inner_texts()
    assert [option.replace("\xa0", " ") for option in options] == [
        "dense · 95.00 %",
        "second · 90.00 %",
    ]
    draw(page, DIGITS[7])
    wait_for_digit(page)
    with page.expect_response("**/api/classify?run=second") as found:
        choice.select_option("second")
    assert found.value.json()["run"] == "second"
    assert wait_for_digit(page) == str(found.value.json()["digit"])


def test_drawing_is_restored_from_the_history(open_page: OpenPage) -> None:
    page = open_page()
    for digit in (0, 1):
        draw(page, DIGITS[digit])
        wait_for_digit(page)
        page.keyboard.press("Escape")
    draw(page, DIGITS[7])
    wait_for_digit(page)
    seven = drawn_pixels(page)
    labels = page.locator("#history button")
    assert re.match(
        r"Restore the drawing predicted as \d, >?\d+\s% confidence",
        str(labels.first.get_attribute("aria-label")),
    )
    labels.nth(1).click()
    wait_for_digit(page)
    assert drawn_pixels(page) != seven
    assert page.locator("#history li").count() == 2, "the 7 replaced the 0"
    for _ in range(15):
        draw(page, DIGITS[1])
        page.keyboard.press("Escape")
    assert page.locator("#history li").count() == 12


def test_earlier_drawings_survive_a_reload(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[4])
    wait_for_digit(page)
    four = drawn_pixels(page)
    page.keyboard.press("Escape")
    picture = Image.effect_noise((900, 700), 60).convert("RGB")
    draw_strokes(picture, 7, (200, 100), 400)
    transfer_file(page, encode(picture), "drop")
    wait_for_digit(page)
    page.keyboard.press("Escape")
    labels = page.locator("#history button")
    before = [label.get_attribute("aria-label") for label in labels.all()]
    while "data:image/jpeg" not in page.evaluate(f"localStorage[{STORE!r}]"):
        page.wait_for_timeout(20)  # until the smaller picture is stored
    assert page.evaluate(f"localStorage[{STORE!r}].length") < 2_000_000
    page.reload()
    assert [label.get_attribute("aria-label") for label in labels.all()] == before
    labels.first.click()
    wait_for_digit(page)
    expect(page.locator("#picture")).to_be_visible()
    page.keyboard.press("Escape")
    labels.last.click()
    wait_for_digit(page)
    assert drawn_pixels(page) == pytest.approx(four, abs=50)
    page.get_by_role("button", name="Delete all").click()
    expect(page.locator("#history-hint")).to_be_visible()
    assert page.evaluate(f"localStorage[{STORE!r}]") == "[]"
    page.evaluate(f"localStorage[{STORE!r}] = '[{{}}, 7]'")
    page.reload()
    expect(page.locator("#history-hint")).to_be_visible()
    expect(page.locator("#history li")).to_have_count(0)


def test_wrong_prediction_is_corrected(open_page: OpenPage, runs_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawings"
    with serve_app(runs_dir, drawings_dir=folder) as address:
        page = open_page(at=address)
        summary = page.get_by_text("Wrong? It is a …")
        expect(summary).to_be_hidden()
        draw(page, DIGITS[4])
        wait_for_digit(page)
        for label in (4, 9):
            summary.click()
            page.get_by_role("group", name="The true digit").get_by_text(str(label)).click()
            text = f"Saved as a {label} in drawings/000{1 + label // 9}.png. Thank you."
            expect(page.locator("#corrections p")).to_have_text(text)
            draw(page, DIGITS[9])
            wait_for_digit(page)
        summary.click()
        digits = page.get_by_role("group", name="The true digit")
        digits.get_by_text("5").click()
        expect(digits).to_be_hidden()
        page.get_by_role("button", name="Undo saving").click()
        expect(page.locator("#corrections p")).to_have_text("drawings/0003.png was removed.")
        expect(page.get_by_role("button", name="Undo saving")).to_be_hidden()
        expect(digits).to_be_visible()
    (first, _), (second, _) = saved = read_labels(folder)
    assert [label for _, label in saved] == [4, 9]
    assert Image.open(first).size == Image.open(second).size == (168, 168)
    with serve_app(runs_dir, drawings_dir=first / "drawings") as address:
        page = open_page(at=address)
        draw(page, DIGITS[4])
        wait_for_digit(page)
        page.get_by_text("Wrong? It is a …").click()
        expect(page.locator("#corrections p")).to_contain_text("Drawings cannot be saved: cannot")
        expect(page.get_by_role("group", name="The true digit")).to_be_hidden()


def play(page: Page, digits: Mapping[int, list[Points]]) -> None:
    """Draw what the challenge asks for, with the mouse, and press Enter; ends with the score."""
    for number in range(1, 11):
        title = page.locator("#title")
        expect(title).to_have_text(re.compile(r"^Draw (a [0-79]|an 8)$"))
        expect(page.locator("#lead")).to_contain_text(f"{number} of 10 digits, ")
        asked = int(title.inner_text()[-1])
        draw(page, digits[asked])
        expect(page.locator("#result")).to_be_hidden()
        page.keyboard.press("Enter")
        expect(page.locator("#digit")).to_be_visible()
        read = page.locator("#digit").inner_text()
        expected = re.compile(r"Correct: \+\d+" if read == str(asked) else f"^Read as {read}$")
        expect(title).to_have_text(expected)
        page.keyboard.press("Enter")


def test_challenge(open_page: OpenPage) -> None:
    page = open_page(size=(320, 568))
    start = page.get_by_role("button", name="Challenge")
    start.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text(re.compile("^Draw an? "))  # nothing is drawn
    for hidden in ("#run", "#upload", "#history"):
        expect(page.locator(hidden)).to_be_hidden()
    play(page, dict(enumerate(DIGITS)))
    score = page.get_by_role("group", name="Your score")
    rounds = score.locator("li").all_inner_texts()
    points = [int(text.split()[1]) for text in rounds if "→" not in text]
    expect(score.locator(".points")).to_have_text(f"{sum(points)} of 1,000 points")
    expect(score.locator(".tally")).to_have_text(f"{len(points)} of 10 read correctly")
    assert sorted(int(text.split()[0]) for text in rounds) == list(range(10))
    box = score.bounding_box()
    assert box
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.up()
    assert drawn_pixels(page) == 0, "the sheet is locked"
    page.get_by_role("button", name="Again").click()
    expect(page.locator("#lead")).to_have_text("1 of 10 digits, 0 points")
    page.get_by_role("button", name="Stop").click()
    expect(start).to_be_focused()
    expect(page.locator("#history li")).to_have_count(10)
    draw(page, DIGITS[2])
    assert wait_for_digit(page)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_challenge_with_a_finger(open_page: OpenPage, width: int, height: int) -> None:
    page = open_page(size=(width, height), has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Challenge").tap()
    title, done, pad = (page.locator(name) for name in ("#title", "#done", "#pad"))
    for number in (1, 2):
        expect(title).to_have_text(re.compile(r"^Draw (a [0-79]|an 8)$"))
        asked = int(title.inner_text()[-1])
        draw_with_finger(page, DIGITS[asked])
        for part in (pad, title, done):
            expect(part).to_be_in_viewport(ratio=1)
        done.tap()  # at once: the browser must not take the stroke for a fling
        expect(done).to_have_text("Next")
        for part in (pad, page.locator("#digit"), title, done):
            expect(part).to_be_in_viewport(ratio=1)
        if number == 1:
            drawn = drawn_pixels(page)
            draw_with_finger(page, [[(0.3, 0.8), (0.5, 0.8), (0.7, 0.8)]])
            assert drawn_pixels(page) == drawn, "the sheet is locked"
        done.tap()
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    page.get_by_role("button", name="Stop").tap()
    expect(page.locator("#lead")).not_to_contain_text("points")
    assert drawn_pixels(page) == 0


def test_challenge_survives_a_stopped_server(open_page: OpenPage, runs_dir: Path) -> None:
    with serve_app(runs_dir) as address:
        page = open_page(at=address, quiet=False)
        page.get_by_role("button", name="Challenge").click()
    draw(page, DIGITS[2])
    done = page.get_by_role("button", name="Done")
    done.click()
    expect(page.locator("#error")).to_contain_text("start it again: kd app")
    expect(done).to_be_enabled()
    expect(page.locator("#title")).to_have_text(re.compile("^Draw an? "))


def test_embedding_follows_the_drawing(open_page: OpenPage) -> None:
    page = open_page()
    page.wait_for_selector("#embedding:visible")
    expect(page.locator("#points .dots circle")).to_have_count(DOTS)
    assert not page.locator("#no-embedding").is_visible()
    names = page.locator("#points .names text").all_text_contents()
    assert sorted(names) == list("0123456789")
    ring = page.locator("#points .ring")
    assert not ring.is_visible()
    draw(page, DIGITS[6])
    wait_for_digit(page)
    ring.wait_for()
    places = str(page.locator("#points .trail").get_attribute("points")).split()
    assert len(places) >= 2
    page.keyboard.press("Escape")
    ring.wait_for(state="hidden")


def test_sheet_does_not_move_when_the_embedding_arrives(open_page: OpenPage) -> None:
    page = open_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/plane", hold)
    page.reload()
    expect(page.locator("#run option").first).to_be_attached()
    before = page.locator("#pad").bounding_box()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator("#points .dots circle")).to_have_count(DOTS)
    assert page.locator("#pad").bounding_box() == before


def test_page_without_embedding(
    open_page: OpenPage, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "load_embedding", lambda folder: None)
    with serve_app(runs_dir) as address:
        page = open_page(at=address)
        draw(page, DIGITS[2])
        wait_for_digit(page)
        assert not page.locator("#embedding").is_visible()
        expect(page.locator("#no-embedding")).to_contain_text("run kd study bottleneck")


def test_stopped_server_is_reported(open_page: OpenPage, runs_dir: Path) -> None:
    with serve_app(runs_dir) as address:
        page = open_page(at=address, quiet=False)
    draw(page, DIGITS[2])
    page.wait_for_selector("#error:visible")
    assert "start it again: kd app" in page.locator("#error").inner_text()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_fits_and_follows_color_scheme(open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(size=(width, 800), color_scheme=scheme)
    for _ in range(2):
        draw(page, DIGITS[5])
        wait_for_digit(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('.tools').offsetHeight") < 60, "one row"
        page.keyboard.press("Escape")
    ink, paper = (
        sum(
            map(
                int,
                re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{which}"))[:3],
            )
        )
        for which in ("color", "backgroundColor")
    )
    assert (ink < paper) is (scheme == "light")
    turned = page.evaluate("getComputedStyle(document.getElementById('pad')).filter")
    assert (turned == "none") is (scheme == "light"), "ink is inverted on dark paper"


def test_controls_are_reachable_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[3])
    wait_for_digit(page)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
    page.locator("h1").click()
    reached = []
    for _ in range(13):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        frame = page.evaluate("""() => {
          const on = document.activeElement;
          const around = [on, on.closest(".paper"), on.closest(".button")].filter(Boolean);
          return around.some((one) => getComputedStyle(one).outlineStyle !== "none");
        }""")
        assert frame, f"focus is not visible on {reached[-1]}"
    tools = ["undo", "redo", "eraser", "clear", "brush", "upload", "camera"]
    assert reached == ["run", "pad", *tools, "SUMMARY", "SUMMARY", "SUMMARY", "BUTTON"]
    page.keyboard.press("Enter")
    assert wait_for_digit(page), "the drawing was restored"
    assert page.evaluate("document.activeElement.id") == "pad"
    assert page.evaluate(UNLABELLED_CONTROLS) == 0


def test_reduced_motion_disables_animations(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="no-preference")
    assert page.evaluate(ANIMATED_ELEMENTS) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(ANIMATED_ELEMENTS) == 0
