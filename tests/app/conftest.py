"""Fixtures: two small runs, an embedding, the running app and its page in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect

from kaggle_digits.app import api
from kaggle_digits.inference.embedding import Embedding
from kaggle_digits.runs.run import METRICS_FILE, Run
from tests.support.app_server import Address, serve_app
from tests.support.browser import browser
from tests.support.page_actions import OpenPage

__all__ = ["browser"]

POINTS = 4000
FORGET_EARLIER_TABS = """if (location.protocol === "http:" && !sessionStorage.begun) {
  localStorage.clear();
  sessionStorage.begun = true;
}"""


@pytest.fixture(scope="session")
def runs_dir(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs with the same model; "dense" has the higher accuracy."""
    folder = tmp_path_factory.mktemp("runs")
    for name, accuracy in (("dense", 0.95), ("second", 0.9)):
        shutil.copytree(trained_run.path, folder / name)
        path = folder / name / METRICS_FILE
        metrics = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**metrics, "val_accuracy": accuracy}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def embedding() -> Embedding:
    """Ten clusters on a circle; an image is encoded as its centre of mass."""
    rng = np.random.default_rng(0)
    labels = np.arange(POINTS) % 10
    angles = 2 * np.pi * labels / 10
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) + rng.normal(0, 0.1, (POINTS, 2))

    def encode(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        ink = images.astype(np.float64) + 1e-9
        positions = np.arange(28) / 14 - 1
        x, y = (ink.sum(axis=axis) @ positions / ink.sum((1, 2)) for axis in (1, 2))
        return np.stack([x, -y], axis=1).astype(np.float32)

    return Embedding(points.astype(np.float32), labels.astype(np.uint8), encode)


@pytest.fixture(scope="module")
def url(runs_dir: Path, embedding: Embedding) -> Iterator[str]:
    """The URL of the running app, which has an embedding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "load_embedding", lambda folder: embedding)
        with serve_app(runs_dir) as app_url:
            yield app_url


@pytest.fixture(scope="module")
def address(url: str) -> Address:
    """The host and port of the running app."""
    parts = httpx.URL(url)
    assert parts.port is not None
    return parts.host, parts.port


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    """An HTTP client of the running app."""
    with httpx.Client(base_url=url, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def open_tab(browser: Browser, url: str) -> Iterator[OpenPage]:
    """A function that opens an empty tab, in one context for all tabs with the same options.

    The context's first tab stays open, so that the others use its process: to start one takes
    longer than most tests.
    """
    contexts: dict[str, BrowserContext] = {}

    def open_in_context(**options: Any) -> Page:
        key = repr(sorted(options.items()))
        if key not in contexts:
            contexts[key] = browser.new_context(**options)
            contexts[key].add_init_script(FORGET_EARLIER_TABS)
            contexts[key].new_page().goto(f"{url}/healthz")
        return contexts[key].new_page()

    yield open_in_context
    for context in contexts.values():
        context.close()


@pytest.fixture
def open_page(open_tab: OpenPage, url: str) -> Iterator[OpenPage]:
    """A function that opens the page, which has stored nothing yet; nothing moves, to save time.

    At the end the page must have logged nothing, and must have sent requests to its server only.
    """
    pages, messages, requests, errors = list[Page](), list[str](), list[str](), list[str]()

    def open_in_browser(
        *,
        at: str = url,
        quiet: bool = True,
        size: tuple[int, int] = (1280, 800),
        color_scheme: Literal["dark", "light"] = "light",
        reduced_motion: Literal["no-preference", "reduce"] = "reduce",
        **options: Any,
    ) -> Page:
        page = open_tab(**options)
        pages.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)

        def on_console(message: ConsoleMessage) -> None:
            if quiet:
                messages.append(message.text)

        def on_error(error: Error) -> None:
            errors.append(str(error))

        page.on("console", on_console)
        page.on("pageerror", on_error)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(at)
        expect(page.locator("#run option").first).to_be_attached()
        return page

    yield open_in_browser
    for page in pages:
        page.close()
    assert not messages
    assert not errors
    assert requests
    own = re.compile(r"http://127\.0\.0\.1:\d+/|data:|blob:http://127")
    assert all(own.match(request) for request in requests)
