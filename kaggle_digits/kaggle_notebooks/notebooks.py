"""Kaggle's notebooks in our words: what is saved, how a session stands, why a push is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from kaggle_digits.kaggle_api.credentials import SETTINGS_PAGE
from kaggle_digits.kaggle_api.errors import RULES_PAGE, KaggleApiError, one_line

QUEUED, RUNNING, COMPLETE, FAILED, CANCELLED = (
    "queued",
    "running",
    "complete",
    "failed",
    "cancelled",
)
STATES = {
    "QUEUED": QUEUED,
    "NEW_SCRIPT": QUEUED,
    "RUNNING": RUNNING,
    "COMPLETE": COMPLETE,
    "ERROR": FAILED,
    "CANCEL_REQUESTED": CANCELLED,
    "CANCEL_ACKNOWLEDGED": CANCELLED,
}


@dataclass(frozen=True)
class Notebook:
    """What is saved: a private script that has the competition's data.

    Attributes:
        owner, slug: its name at Kaggle is ``owner/slug``.
        text: the script.
        accelerator: Kaggle's name of the machine, as NvidiaTeslaT4 (two cards); None for none.
        internet: whether it may reach the network.
        seconds: after which Kaggle ends it.
    """

    owner: str
    slug: str
    text: str
    accelerator: str | None
    internet: bool
    seconds: int

    @property
    def title(self) -> str:
        """Such that Kaggle makes ``slug`` of it."""
        return self.slug.replace("-", " ")


@dataclass(frozen=True)
class SavedVersion:
    """A saved version: ``ref`` is ``owner/slug``; ``version`` is None where Kaggle keeps silent."""

    ref: str
    url: str
    version: int | None


@dataclass(frozen=True)
class SessionStatus:
    """``state``: queued, running, complete, failed or cancelled; ``failure``: Kaggle's words."""

    state: str
    failure: str


@dataclass(frozen=True)
class NotebookOutput:
    """Files of the last session that ended: name → address; and its log, as Kaggle keeps it."""

    files: dict[str, str] = field(default_factory=dict)
    log: str = ""


def of_a_push(error: KaggleApiError) -> KaggleApiError:
    """A refusal in the words of a notebook; 401, 429 and faults say what they said."""
    if error.status == 400:  # explain() takes every limit for that of submissions
        words = _words(error)
        return KaggleApiError(
            f"Kaggle refuses the notebook (400: {words}); look at https://www.kaggle.com/code, or "
            "run it again with --debug",
            status=400,
            not_applied=True,
        )
    if error.status != 403:
        return error
    return KaggleApiError(
        f"Kaggle refuses to save a notebook (403): accept the competition's rules at {RULES_PAGE}, "
        f"verify your phone number at {SETTINGS_PAGE}, and push again",
        status=403,
        not_applied=True,
    )


def _words(error: KaggleApiError) -> str:
    """Kaggle's own words in an answer that refuses."""
    try:
        body = json.loads(error.__cause__.response.text)  # type: ignore[union-attr]
        return one_line(str(body.get("message") or body.get("error") or "no reason given"))
    except (AttributeError, ValueError, RuntimeError):
        return "no reason given"


def ref_of(answer: Any, asked: str) -> str:
    """``owner/slug`` as Kaggle has it: /code/owner/slug or an address in its answer."""
    for text in (str(answer.ref or ""), str(answer.url or "")):
        words = [word for word in text.split("?", 1)[0].split("/") if word]
        if len(words) >= 2:
            return "/".join(words[-2:])
    return asked
