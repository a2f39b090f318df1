"""Clients of Kaggle's API: time-outs, retries and explained errors for every call.

kagglesdk makes the calls. The kaggle package above it signs in and prints when it is imported, and
hides why a submission failed.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import requests
from kagglesdk import KaggleClient, KaggleCredentials, KaggleEnv
from kagglesdk.competitions.types import competition_api_service as types
from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

from kaggle_digits.core.errors import DigitsError, KaggleError, one_line
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api import credentials, errors, http
from kaggle_digits.kaggle_api.errors import COMPETITION, SUBMISSIONS_PAGE, KaggleApiError
from kaggle_digits.kaggle_api.http import RetryPolicy

T = TypeVar("T")
PAGE_SIZE = 100


def new(kind: Callable[[], T], **fields: Any) -> T:
    """Return an object of kagglesdk with ``fields``; its classes have no arguments for them."""
    made = kind()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class KaggleSession:
    """Base of the Kaggle clients; signs in before the first call.

    A subclass names its ``service``, as an attribute of kagglesdk's client.
    ``progress`` receives notes about retries and the progress of downloads. Every method of a
    subclass raises KaggleError with one line, also the constructor if there is no credential.
    """

    service = ""

    def __init__(
        self, *, policy: RetryPolicy | None = None, progress: Progress | None = None
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.progress = progress or Progress()
        self.credential = credentials.require()
        self._auth: dict[str, str] | None = None

    def username(self) -> str:
        """Return the owner of the credential once Kaggle has accepted it."""
        if name := self._sign_in().get("username"):
            return name
        raise KaggleError(
            f"Kaggle does not tell the owner of the {self.credential}; make another token at "
            f"{credentials.SETTINGS_PAGE}"
        )

    def call(self, action: str, function: Callable[[Any], T], **options: Any) -> T:
        """Call ``function`` with a kagglesdk client; retry it if that may help.

        ``action`` describes it in messages: "listing the files". ``options`` are those of _retry.
        """
        auth = self._sign_in()
        return self._retry(action, lambda: self._call_once(function, auth), **options)

    def request(self, action: str, method: str, request: Any, **options: Any) -> Any:
        """Return the response of a ``method`` of the service; the rest is as for ``call``."""

        def call_method(client: Any) -> Any:
            response = getattr(self._api(client), method)(request)
            if response is None:
                raise errors.NotJsonError
            return response

        return self.call(action, call_method, **options)

    def _api(self, client: Any) -> Any:
        """Return the part of kagglesdk's client for the service."""
        return attrgetter(self.service)(client)

    def _upload(self, name: str, content: bytes, method: str, request: Any) -> str:
        """Upload a file to the address that ``method`` of kagglesdk's client returns; its token."""
        request.content_length = len(content)

        def upload_once(client: Any) -> str:
            request.last_modified_epoch_seconds = int(time.time())
            upload = attrgetter(method)(client)(request)
            if not upload.token or not upload.create_url:
                raise errors.NotJsonError
            sent = http.send_request("PUT", upload.create_url, self.policy, data=content)
            if (status := sent.status_code) not in (200, 201):
                raise KaggleApiError(
                    f"the upload of {name} failed ({status}), so nothing was submitted; run it "
                    "again in a few minutes",
                    status=status,
                    retryable=status >= 500 or status in (408, 429),
                    not_applied=True,
                )
            return str(upload.token)

        return self.call(f"uploading {name}", upload_once)

    def _download(
        self, function: Callable[[Any], Any], name: str, folder: Path, **sizes: Any
    ) -> Path:
        """Save the streaming response of ``function``; ``sizes`` are those of save_response."""
        auth = self._sign_in()

        def download_once() -> Path:
            response = self._call_once(function, auth)
            return http.save_response(
                response, name, folder, policy=self.policy, progress=self.progress, **sizes
            )

        return self._retry(f"downloading {name}", download_once)

    def _retry(
        self,
        action: str,
        function: Callable[[], T],
        *,
        idempotent: bool = True,
        attempts: int | None = None,
    ) -> T:
        """Call ``function`` until it succeeds or fails for good, with exponential backoff.

        A call that is not ``idempotent`` must not be carried out twice: it is repeated only if it
        is certain that Kaggle did nothing. ``attempts`` overrides the policy's ``max_attempts``.
        Unlike urllib3's Retry, a truncated response or a web page of status 200 is repeated too.
        """
        attempts = attempts or self.policy.max_attempts
        attempt = 1
        while True:
            try:
                try:
                    return function()
                except DigitsError:
                    raise
                except Exception as error:
                    raise errors.explain(error, action, self.credential) from error
            except KaggleApiError as error:
                backoff = self.policy.backoff * 2 ** (attempt - 1)
                pause = backoff if error.retry_after is None else error.retry_after
                may_repeat = error.retryable and (idempotent or error.not_applied)
                if not may_repeat or attempt == attempts or pause > self.policy.max_retry_after:
                    raise
                reason = str(error).split(";", 1)[0]
                seconds = f"{pause:.{int(pause < 1)}f} s"
                attempt += 1
                self.progress.note(f"{reason}; trying again in {seconds} ({attempt} of {attempts})")
                time.sleep(pause)

    def _call_once(self, function: Callable[[Any], T], auth: dict[str, str]) -> T:
        def work() -> T:
            with self._client(auth) as client:
                return function(client)

        return http.call_with_timeout(work, self.policy.call_timeout)

    @contextlib.contextmanager
    def _client(self, auth: dict[str, str]) -> Iterator[Any]:
        """Yield a kagglesdk client with our time-outs; ``auth``: its arguments with the secret."""
        local = os.environ.get("KAGGLE_API_ENVIRONMENT") == "LOCALHOST"
        environment = KaggleEnv.LOCAL if local else KaggleEnv.PROD
        with KaggleClient(environment, response_processor=_require_json, **auth) as client:
            session = client.http_client()._session
            if "password" in auth:  # kagglesdk may have found an access token elsewhere
                session.auth = (auth["username"], auth["password"])
            http.mount_timeouts(session, self.policy)
            yield client

    def _sign_in(self) -> dict[str, str]:
        """Return the client's keyword arguments for the credential, once Kaggle accepted it."""
        if self._auth is None:
            self._auth = self._retry(
                "signing in",
                lambda: http.call_with_timeout(self._authenticate, self.policy.call_timeout),
            )
        return self._auth

    def _authenticate(self) -> dict[str, str]:
        credential = self.credential
        if credential.kind == credentials.API_KEY:  # the first call shows whether it is valid
            return {"username": credential.username or "", "password": credential.secret}
        if credential.kind == credentials.LOGIN:
            with self._client({}) as client:
                login = KaggleCredentials.load(client)
                token = login.get_access_token()
                return {"username": login.get_username() or "", "api_token": token}
        username = ""
        try:
            with self._client({"api_token": credential.secret}) as client:
                introspect = new(IntrospectTokenRequest, token=credential.secret)
                answer = client.security.oauth_client.introspect_token(introspect)
                username = str(answer.username or "") if answer.active else ""
        except requests.HTTPError as error:
            if error.response.status_code not in (400, 403, 404):
                raise
        if not username:
            raise KaggleApiError(
                f"Kaggle does not accept the {credential}: wrong or expired; "
                f"{credentials.CREDENTIAL_HELP}",
                status=401,
                not_applied=True,
            )
        return {"username": username, "api_token": credential.secret}


def _require_json(response: Any) -> None:
    """Raise NotJsonError for JSON that is not an object; kagglesdk would accept it as empty."""
    is_json = "application/json" in response.headers.get("Content-Type", "")
    if is_json and not isinstance(response.json(), dict):
        raise errors.NotJsonError


@dataclass(frozen=True)
class RemoteFile:
    """A file of the competition: its name and its size in bytes when uncompressed."""

    name: str
    size: int


@dataclass(frozen=True)
class RemoteSubmission:
    """A submission as Kaggle lists it; ``status`` is PENDING, COMPLETE or ERROR."""

    ref: int
    status: str
    public_score: float | None
    error: str
    description: str
    file: str  # its name
    time: str  # ISO 8601 with time zone; empty if unknown


@dataclass(frozen=True)
class SubmissionLimits:
    """Submissions made today and submissions left today."""

    today: int
    remaining: int


class CompetitionClient(KaggleSession):
    """The Digit Recognizer competition: its files and the submissions of the user signed in."""

    service = "competitions.competition_api_client"

    def list_files(self) -> list[RemoteFile]:
        """List the competition's files."""
        request = _request(types.ApiListDataFilesRequest, page_size=PAGE_SIZE)
        response = self.request("listing the competition's files", "list_data_files", request)
        files = [RemoteFile(str(f.name), int(f.total_bytes or 0)) for f in response.files or []]
        if not files:
            raise KaggleError(
                f"Kaggle lists no files for {COMPETITION}; try again later, or download them in "
                "a browser and: `kd.fetch('digit-recognizer.zip')`"
            )
        return files

    def download_file(self, file: RemoteFile, folder: Path) -> Path:
        """Download ``file`` and return its path, named as Kaggle serves it (.csv or .csv.zip)."""
        request = _request(types.ApiDownloadDataFileRequest, file_name=file.name)

        def start(client: Any) -> Any:
            return self._api(client).download_data_file(request)

        return self._download(start, file.name, folder, expected_size=file.size)

    def submission_limits(self) -> SubmissionLimits | None:
        """Return how many submissions were made today and are left; None if unknown."""
        request = _request(types.ApiGetSubmissionLimitsRequest)
        limits = self.request("reading the submissions left", "get_submission_limits", request)
        today, remaining = int(limits.num_today or 0), int(limits.num_allowed_now or 0)
        # Kaggle returns 0 for both to a user who has never submitted.
        return SubmissionLimits(today, remaining) if today or remaining else None

    def public_rank(self) -> tuple[int, int] | None:
        """Return the rank on the public leaderboard and the number of teams; None without one."""
        request = _request(types.ApiGetCompetitionRequest)
        competition = self.request("reading your public rank", "get_competition", request)
        rank = int(competition.user_rank or 0)
        return (rank, int(competition.team_count or 0)) if rank else None

    def upload(self, name: str, content: bytes) -> str:
        """Upload a file and return the token with which ``create_submission`` submits it."""
        request = _request(types.ApiStartSubmissionUploadRequest, file_name=name)
        return self._upload(name, content, f"{self.service}.start_submission_upload", request)

    def create_submission(self, token: str, description: str) -> int:
        """Submit uploaded bytes and return the ref; never submit them twice.

        The error's ``not_applied`` tells whether it is certain that nothing was submitted.
        """
        kind = types.ApiCreateSubmissionRequest
        request = _request(kind, blob_file_tokens=token, submission_description=description)
        response = self.request("submitting", "create_submission", request, idempotent=False)
        if not response.ref:
            reason = one_line(response.message or "") or "no reason given"
            raise KaggleApiError(
                f"Kaggle did not confirm the submission ({reason}); look at {SUBMISSIONS_PAGE}, "
                "then run it again"
            )
        return int(response.ref)

    def get_submission(self, ref: int) -> RemoteSubmission:
        """Return one submission."""

        def get(client: Any) -> RemoteSubmission:
            request = new(types.ApiGetSubmissionRequest, ref=ref)
            response = self._api(client).get_submission(request)
            if not response.ref:
                raise errors.NotJsonError
            return _submission(response)

        return self.call(f"reading the status of submission {ref}", get)

    def list_submissions(self) -> list[RemoteSubmission]:
        """List all submissions, newest first."""
        request = _request(types.ApiListSubmissionsRequest, page=1, page_size=PAGE_SIZE)
        submissions: dict[int, RemoteSubmission] = {}
        while True:
            response = self.request("listing your submissions", "list_submissions", request)
            page = [_submission(one) for one in response.submissions or [] if one is not None]
            is_new = any(one.ref not in submissions for one in page)
            submissions |= {one.ref: one for one in page}
            request.page, request.page_token = None, response.next_page_token or ""
            if not request.page_token or not is_new:
                return list(submissions.values())


def _request(kind: Callable[[], Any], **fields: Any) -> Any:
    return new(kind, competition_name=COMPETITION, **fields)


def _submission(response: Any) -> RemoteSubmission:
    try:
        score = float(response.public_score)
    except (TypeError, ValueError):
        score = None
    date = response.date  # in UTC, without a time zone
    return RemoteSubmission(
        ref=int(response.ref),
        status=str(getattr(response.status, "name", response.status)),
        public_score=score,
        error=one_line(response.error_description or ""),
        description=str(response.description or ""),
        file=str(response.file_name or ""),
        time=date.replace(tzinfo=date.tzinfo or UTC).isoformat(timespec="seconds") if date else "",
    )
