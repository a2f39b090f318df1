"""Fixtures: two small runs, an embedding, the running app and its page in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect

from kaggle_digits.app import api
from kaggle_digits.inference.embedding import Embedding
from kaggle_digits.runs.run import METRICS_FILE, Run
from tests.support.app_server import Address, serve_app
from tests.support.browser import browser
from tests.support.page_actions import OpenPage

__all__ = ["browser"]

POINTS = 4000


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


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[OpenPage]:
    """A function that opens the page.

    At the end the page must have logged nothing, and must have sent requests to its server only.
    """
    contexts, messages, requests, errors = [], [], [], []

    def open_in_browser(*, at: str = url, quiet: bool = True, **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()

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
    for context in contexts:
        context.close()
    assert not messages
    assert not errors
    assert requests
    own = re.compile(r"http://127\.0\.0\.1:\d+/|data:|blob:http://127")
    assert all(own.match(request) for request in requests)
