"""A fixture that starts Chromium, for tests of HTML pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a module."""
    with sync_playwright() as playwright:
        path = chromium_path()
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
