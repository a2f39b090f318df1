"""Kaggle's notebooks at the other end of the wire: saved, looked at, their output fetched.

The calls are made one by one (kagglesdk): the client's ready-made ones turn every 401 and 403 into
"wrong kernel slug", and know nothing of time-outs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaggle_digits.competition.answers import (
    COMPETITION,
    RULES_PAGE,
    AnswerError,
    NotJsonError,
    one_line,
)
from kaggle_digits.competition.credentials import SETTINGS_PAGE, Credential
from kaggle_digits.competition.download import download
from kaggle_digits.competition.patience import Patience, persist
from kaggle_digits.competition.progress import Progress, Silent
from kaggle_digits.competition.session import Session
from kaggle_digits.competition.wire import time_limits
from kaggle_digits.errors import KaggleError

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
MOST_PAGES, PAGE_SIZE = 50, 100


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
class Saved:
    """A saved version: ``ref`` is ``owner/slug``; ``version`` is None where Kaggle keeps silent."""

    ref: str
    url: str
    version: int | None


@dataclass(frozen=True)
class SessionState:
    """``state``: queued, running, complete, failed or cancelled; ``failure``: Kaggle's words."""

    state: str
    failure: str


@dataclass(frozen=True)
class Output:
    """Files of the last session that ended: name → address; and its log, as Kaggle keeps it."""

    files: dict[str, str] = field(default_factory=dict)
    log: str = ""


class Kernels:
    """Notebooks of the user whose credential is found.

    Every method raises KaggleError: one line on what went wrong and what to do about it.
    """

    def __init__(
        self, *, patience: Patience | None = None, progress: Progress | None = None
    ) -> None:
        self.patience = patience or Patience()
        self.progress = progress or Silent()
        self._session = Session(self.patience, self.progress)

    @property
    def credential(self) -> Credential:
        """The credential in use."""
        return self._session.credential

    def username(self) -> str:
        """Whose notebooks they are."""
        name = self._session.api().config_values.get("username")
        if not name:
            raise KaggleError(
                f"Kaggle does not say whose the {self.credential} is; make another token at "
                f"{SETTINGS_PAGE}"
            )
        return str(name)

    def save(self, notebook: Notebook) -> Saved:
        """Save a version and start it: asked again only where it is certain that none was saved.

        Raises:
            AnswerError: ``refused`` where it is certain that nothing was saved.
        """
        from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

        ref = f"{notebook.owner}/{notebook.slug}"

        def send(api: Any) -> Any:
            request = ApiSaveKernelRequest()
            request.slug, request.new_title, request.text = ref, notebook.title, notebook.text
            request.language, request.kernel_type = "python", "script"
            request.competition_data_sources = [COMPETITION]
            request.is_private = True
            request.enable_gpu = notebook.accelerator is not None
            request.enable_internet = notebook.internet
            request.session_timeout_seconds = notebook.seconds
            if notebook.accelerator:
                request.machine_shape = notebook.accelerator
            with api.build_kaggle_client() as kaggle:
                return kaggle.kernels.kernels_api_client.save_kernel(request)

        def once() -> Any:
            try:
                return self._session.ask(f"saving the notebook {ref}", send, tries=1)
            except AnswerError as error:
                error.again = error.again and error.refused
                raise _of_a_push(error) from error

        self._session.api()
        answer = persist(once, self.patience, self.progress.note)
        if answer.error:
            raise AnswerError(
                f"Kaggle refuses the notebook {ref}: {one_line(str(answer.error))}", refused=True
            )
        if answer.invalid_competition_sources:
            raise AnswerError(
                f"Kaggle saved {ref} without the competition's data; accept the rules at "
                f"{RULES_PAGE} and push again"
            )
        if not (answer.ref or answer.url):
            raise AnswerError(f"Kaggle did not confirm the notebook {ref}")
        return Saved(
            _ref(answer, ref), str(answer.url or ""), int(answer.version_number or 0) or None
        )

    def state(self, ref: str) -> SessionState:
        """How the last session of a notebook stands: perhaps still an earlier version's."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

        def get(api: Any) -> Any:
            request = ApiGetKernelSessionStatusRequest()
            request.user_name, request.kernel_slug = ref.split("/")
            with api.build_kaggle_client() as kaggle:
                return kaggle.kernels.kernels_api_client.get_kernel_session_status(request)

        answer = self._look(f"asking how notebook {ref} stands", ref, get)
        name = str(getattr(answer.status, "name", answer.status))
        return SessionState(
            STATES.get(name, name.lower()), one_line(str(answer.failure_message or ""))
        )

    def version(self, ref: str) -> int | None:
        """The number of the version that Kaggle shows; None where that cannot be learnt."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

        def get(api: Any) -> Any:
            request = ApiGetKernelRequest()
            request.user_name, request.kernel_slug = ref.split("/")
            with api.build_kaggle_client() as kaggle:
                return kaggle.kernels.kernels_api_client.get_kernel(request)

        try:
            answer = self._look(f"asking for the version of {ref}", ref, get, tries=1)
            return int(answer.metadata.current_version_number or 0) or None
        except (AnswerError, AttributeError):
            return None

    def output(self, ref: str) -> Output:
        """What the last session that ended has left: all pages of its files, and the log."""
        from kagglesdk.kernels.types.kernels_api_service import (
            ApiListKernelSessionOutputRequest,
        )

        doing = f"listing the output of {ref}"
        files: dict[str, str] = {}
        log, token = "", ""
        for _ in range(MOST_PAGES):

            def get(api: Any, token: str = token) -> Any:
                request = ApiListKernelSessionOutputRequest()
                request.user_name, request.kernel_slug = ref.split("/")
                request.page_size = PAGE_SIZE
                if token:
                    request.page_token = token
                with api.build_kaggle_client() as kaggle:
                    return kaggle.kernels.kernels_api_client.list_kernel_session_output(request)

            answer = self._look(doing, ref, get)
            for one in answer.files or []:
                files[str(one.file_name)] = str(one.url)
            log = log or str(answer.log or "")
            token = str(answer.next_page_token or "")
            if not token:
                return Output(files, log)
        raise KaggleError(f"{ref} has more files than a run has; look at its page")

    def download(self, name: str, url: str, folder: Path, *, most: int, size: int = 0) -> Path:
        """Download a file of an output, going on where an earlier try was cut short.

        Args:
            name: of the file.
            url: its address, from ``output``.
            folder: must exist.
            most: bytes at which it is given up.
            size: its bytes, 0 where unknown.
        """
        doing = f"downloading {name}"

        def start(_: Any) -> Any:
            import requests

            # Signed for this file alone: the credential stays here.
            response = requests.get(url, stream=True, headers={"Accept-Encoding": "identity"})
            response.raise_for_status()
            return response

        def once() -> Path:
            response = self._session.ask(doing, start, tries=1)
            with (
                self._session.explained(doing),
                time_limits(self.patience.connect, self.patience.read),
            ):
                bounded = _Bounded(self.progress, most)
                return download(
                    response,
                    name,
                    size,
                    folder,
                    bounded,
                    again="kd remote pull",
                    slow=self.patience.slow,
                )

        self._session.api()
        try:
            return persist(once, self.patience, self.progress.note)
        except AnswerError as error:
            if error.status not in (400, 403, 404, 410):
                raise
            raise AnswerError(
                f"the address of {name} is no longer good ({error.status}); run it again: "
                "kd remote pull",
                status=error.status,
                refused=True,
            ) from error

    def _look(self, doing: str, ref: str, call: Any, *, tries: int = 0) -> Any:
        def checked(api: Any) -> Any:
            answer = call(api)
            if answer is None:
                raise NotJsonError
            return answer

        try:
            return self._session.ask(doing, checked, tries=tries)
        except AnswerError as error:
            if error.status not in (403, 404):
                raise
            raise AnswerError(
                f"Kaggle shows no notebook {ref} to the {self.credential} ({error.status}); was "
                "it deleted, renamed, or pushed with another account? push it again",
                status=error.status,
                refused=True,
            ) from error


class _Bounded:
    """A Progress that ends what has no end."""

    def __init__(self, progress: Progress, most: int) -> None:
        self._progress, self._most = progress, most

    def note(self, text: str) -> None:
        """Pass it on."""
        self._progress.note(text)

    def transferred(self, name: str, done: int, total: int | None) -> None:
        """Pass it on, up to ``most`` bytes."""
        if max(done, total or 0) > self._most:
            raise KaggleError(
                f"{name} has more than the {self._most:,} bytes that are right; look at the "
                "notebook's page, then push again"
            )
        self._progress.transferred(name, done, total)


def _of_a_push(error: AnswerError) -> AnswerError:
    """A refusal in the words of a notebook; 401, 429 and faults say what they said."""
    if error.status == 400:  # explain() takes every limit for that of submissions
        words = _words(error)
        return AnswerError(
            f"Kaggle refuses the notebook (400: {words}); look at https://www.kaggle.com/code, or "
            "run it again with --debug",
            status=400,
            refused=True,
        )
    if error.status != 403:
        return error
    return AnswerError(
        f"Kaggle refuses to save a notebook (403): accept the competition's rules at {RULES_PAGE}, "
        f"verify your phone number at {SETTINGS_PAGE}, and push again",
        status=403,
        refused=True,
    )


def _words(error: AnswerError) -> str:
    """Kaggle's own words in an answer that refuses."""
    try:
        body = json.loads(error.__cause__.response.text)  # type: ignore[union-attr]
        return one_line(str(body.get("message") or body.get("error") or "no reason given"))
    except (AttributeError, ValueError, RuntimeError):
        return "no reason given"


def _ref(answer: Any, asked: str) -> str:
    """``owner/slug`` as Kaggle has it: /code/owner/slug or an address in its answer."""
    for text in (str(answer.ref or ""), str(answer.url or "")):
        words = [word for word in text.split("?", 1)[0].split("/") if word]
        if len(words) >= 2:
            return "/".join(words[-2:])
    return asked
