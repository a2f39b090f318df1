"""The page of kd app in a real browser: runs, earlier drawings, the plane, sizes, the keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kaggle_digits.app import model_cache
from tests.app.conftest import served
from tests.support.browsing import needs_chromium
from tests.support.hands import Open, answer, draw, ink_drawn
from tests.support.strokes import DIGITS

pytestmark = needs_chromium
UNNAMED = """[...document.querySelectorAll("button, input, select")].filter((one) =>
  !(one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim())).length"""
MOVING = """[...document.querySelectorAll("*")].filter((one) =>
  getComputedStyle(one).transitionDuration !== "0s").length"""


def test_another_run_reads_the_same_drawing(opened: Open) -> None:
    page = opened()
    choice = page.get_by_role("combobox", name="Model")
    options = choice.locator("option").all_inner_texts()
    assert [option.replace("\xa0", " ") for option in options] == [
        "dense · 95.00 %",
        "second · 90.00 %",
    ]
    draw(page, DIGITS[7])
    answer(page)
    with page.expect_response("**/api/classify?run=second") as found:
        choice.select_option("second")
    assert found.value.json()["run"] == "second"
    assert answer(page) == str(found.value.json()["digit"])


def test_a_drawing_comes_back_from_the_strip(opened: Open) -> None:
    page = opened()
    for digit in (0, 1):
        draw(page, DIGITS[digit])
        answer(page)
        page.keyboard.press("Escape")
    draw(page, DIGITS[7])
    answer(page)
    seven = ink_drawn(page)
    labels = page.locator("#strip button")
    assert re.match(
        r"Bring back what was read as \d, >?\d+\s% sure",
        str(labels.first.get_attribute("aria-label")),
    )
    labels.nth(1).click()
    answer(page)
    assert ink_drawn(page) != seven
    assert page.locator("#strip li").count() == 2, "the 7 took the place of the 0"
    for _ in range(15):
        draw(page, DIGITS[1])
        page.keyboard.press("Escape")
    assert page.locator("#strip li").count() == 12


def test_the_plane_follows_the_pen(opened: Open) -> None:
    page = opened()
    page.wait_for_selector("#plane:visible")
    assert page.locator("#points .dots circle").count() == 1500
    names = page.locator("#points .names text").all_text_contents()
    assert sorted(names) == list("0123456789")
    ring = page.locator("#points .ring")
    assert not ring.is_visible()
    draw(page, DIGITS[6])
    answer(page)
    ring.wait_for()
    places = str(page.locator("#points .trail").get_attribute("points")).split()
    assert len(places) >= 2
    page.keyboard.press("Escape")
    ring.wait_for(state="hidden")


def test_without_a_plane_there_is_none(
    opened: Open, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "load_embedding", lambda folder: None)
    with served(runs_dir) as address:
        page = opened(at=address)
        draw(page, DIGITS[2])
        answer(page)
        assert not page.locator("#plane").is_visible()


def test_a_server_that_is_gone_is_said(opened: Open, runs_dir: Path) -> None:
    with served(runs_dir) as address:
        page = opened(at=address, quiet=False)
    draw(page, DIGITS[2])
    page.wait_for_selector("#trouble:visible")
    assert "start it again: kd app" in page.locator("#trouble").inner_text()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_keeps_the_colours_asked_for(opened: Open, width: int, scheme: str) -> None:
    page = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for _ in range(2):
        draw(page, DIGITS[5])
        answer(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
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
    assert (turned == "none") is (scheme == "light"), "ink is light on dark paper"


def test_every_control_is_reached_by_the_keyboard_and_seen(opened: Open) -> None:
    page = opened()
    draw(page, DIGITS[3])
    answer(page)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
    page.locator("h1").click()
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        frame = page.evaluate("""() => {
          const on = document.activeElement;
          const around = [on, on.closest(".paper"), on.closest(".button")].filter(Boolean);
          return around.some((one) => getComputedStyle(one).outlineStyle !== "none");
        }""")
        assert frame, f"no focus is seen on {reached[-1]}"
    assert reached == ["run", "pad", "undo", "clear", "brush", "upload", "BUTTON"]
    page.keyboard.press("Enter")
    assert answer(page), "the drawing came back"
    assert page.evaluate("document.activeElement.id") == "pad"
    assert page.evaluate(UNNAMED) == 0


def test_nothing_moves_for_those_who_ask_so(opened: Open) -> None:
    page = opened(reduced_motion="reduce")
    assert page.evaluate(MOVING) == 0
