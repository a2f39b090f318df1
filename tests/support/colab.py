"""Stand-ins for Colab's modules: google.colab and the user's secrets."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest


class SecretNotFoundError(Exception):
    """There is no such secret."""


class NotebookAccessError(Exception):
    """The notebook may not read this secret."""


def pretend(monkeypatch: pytest.MonkeyPatch, **secrets: str | None) -> None:
    """Let this process look like a Colab notebook; None: a secret that it may not read."""

    def get(name: str) -> str:
        if name not in secrets:
            raise SecretNotFoundError(name)
        value = secrets[name]
        if value is None:
            raise NotebookAccessError(name)
        return value

    userdata = ModuleType("google.colab.userdata")
    userdata.get = get  # type: ignore[attr-defined]
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.userdata", userdata)
