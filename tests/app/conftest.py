"""A small real run, a plane, the app served on a port of its own, and a browser."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect

from kaggle_digits.app import model_cache
from kaggle_digits.app.api import create_app
from kaggle_digits.app.run_server import bind, server_url, uvicorn_config
from kaggle_digits.inference.embedding import Embedding
from kaggle_digits.runs.run import METRICS_FILE, Run
from tests.support.browsing import browser
from tests.support.hands import Open

__all__ = ["browser"]

POINTS = 4000


@pytest.fixture(scope="session")
def runs_dir(reading_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs that read alike; "dense" has the better figure."""
    folder = tmp_path_factory.mktemp("runs")
    for name, accuracy in (("dense", 0.95), ("second", 0.9)):
        shutil.copytree(reading_run.path, folder / name)
        path = folder / name / METRICS_FILE
        metrics = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**metrics, "val_accuracy": accuracy}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def plane() -> Embedding:
    """Ten heaps of points on a circle; an image stands at its centre of mass."""
    rng = np.random.default_rng(0)
    labels = np.arange(POINTS) % 10
    angles = 2 * np.pi * labels / 10
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) + rng.normal(0, 0.1, (POINTS, 2))

    def encode(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        ink = images.astype(np.float64) + 1e-9
        places = np.arange(28) / 14 - 1
        across, down = (ink.sum(axis=axis) @ places / ink.sum((1, 2)) for axis in (1, 2))
        return np.stack([across, -down], axis=1).astype(np.float32)

    return Embedding(points.astype(np.float32), labels.astype(np.uint8), encode)


@contextmanager
def served(runs_dir: Path) -> Iterator[str]:
    """The app's address, while it answers."""
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn_config(create_app(runs_dir)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server_url(listening)
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture(scope="module")
def address(runs_dir: Path, plane: Embedding) -> Iterator[str]:
    """Where the app answers, with a plane."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_cache, "load_embedding", lambda folder: plane)
        with served(runs_dir) as at:
            yield at


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page; at the end it must have been quiet and have asked nobody but its server."""
    contexts, said, asked, wrong = [], [], [], []

    def open_page(*, at: str = address, quiet: bool = True, **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()

        def heard(message: ConsoleMessage) -> None:
            if quiet:
                said.append(message.text)

        def failed(error: Error) -> None:
            wrong.append(str(error))

        page.on("console", heard)
        page.on("pageerror", failed)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(at)
        expect(page.locator("#run option").first).to_be_attached()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said
    assert not wrong
    assert asked
    assert all(re.match(r"http://127\.0\.0\.1:\d+/|data:|blob:http://127", url) for url in asked)
