"""The report of a run and the page of a study in Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from kaggle_digits.data.dataset import load
from kaggle_digits.evaluation.evaluate import evaluate
from kaggle_digits.studies.runner import find_study, run_study
from kaggle_digits.studies.study import Context
from tests.support import small_runs
from tests.support.browser import browser, needs_chromium

__all__ = ["browser"]

pytestmark = needs_chromium
PHONE_WIDTH, DESKTOP_WIDTH = 375, 1280


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a run and the page of a study, made from real digits."""
    folder = tmp_path_factory.mktemp("pages")
    dataset = load(small_runs.write_data(folder / "data"))
    run = small_runs.write_run(folder / "runs", dataset, small_runs.linear_oof(dataset))
    run_study(find_study("scikit"), Context(dataset, quick=True), folder / "runs")
    return {
        "report": evaluate(run, dataset).report,
        "study": folder / "runs" / "studies" / "scikit" / "index.html",
    }


@pytest.mark.parametrize("name", ["report", "study"])
@pytest.mark.parametrize("width", [PHONE_WIDTH, DESKTOP_WIDTH])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_shows_all_figures_without_a_network(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    messages: list[ConsoleMessage] = []
    requests: list[Request] = []
    # Playwright sets attributes on handlers, which a bound method of list does not allow.
    page.on("console", lambda message: messages.append(message))  # noqa: PLW0108
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108
    page.goto(pages[name].as_uri())
    page.wait_for_load_state("networkidle")
    outgoing = [request.url[:60] for request in requests if not request.url.startswith("data:")]
    assert outgoing == [pages[name].as_uri()[:60]]
    assert not [message.text for message in messages]
    shown = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 300)")
    assert shown
    assert all(shown)
    assert all(page.evaluate("[...document.images].map(i => i.alt.length > 20)"))
    # Wide tables scroll inside their frame; the page itself must not scroll sideways.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (_brightness(page, which) for which in ("color", "backgroundColor"))
    assert (ink < paper) is (scheme == "light")
    page.close()


def _brightness(page: Page, which: str) -> int:
    colour = page.evaluate(f"getComputedStyle(document.body).{which}")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))
