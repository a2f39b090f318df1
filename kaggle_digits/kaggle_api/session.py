"""A signed-in session with Kaggle: time-outs, retries and explained errors for every call.

kagglesdk makes the calls. The kaggle package above it signs in and prints when it is imported, and
hides why a submission failed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import requests
from kagglesdk import KaggleClient, KaggleCredentials, KaggleEnv
from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

from kaggle_digits.core.errors import DigitsError
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.credentials import API_KEY, CREDENTIAL_HELP, LOGIN, require
from kaggle_digits.kaggle_api.download import save_response
from kaggle_digits.kaggle_api.errors import KaggleApiError, NotJsonError, explain
from kaggle_digits.kaggle_api.http import RetryPolicy, call_with_timeout, mount_timeouts

T = TypeVar("T")


class KaggleSession:
    """Base of the Kaggle clients; signs in before the first call.

    ``progress`` receives notes about retries and the progress of downloads. Every method of a
    subclass raises KaggleError with one line, also the constructor if there is no credential.
    """

    def __init__(
        self, *, policy: RetryPolicy | None = None, progress: Progress | None = None
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.progress = progress or Progress()
        self.credential = require()
        self._auth: dict[str, str] | None = None

    def username(self) -> str | None:
        """Return the owner of the credential once Kaggle has accepted it; None if unknown."""
        return self._sign_in().get("username") or None

    def call(self, action: str, function: Callable[[Any], T], **options: Any) -> T:
        """Call ``function`` with a kagglesdk client; retry it if that may help.

        ``action`` describes it in messages: "listing the files". ``options`` are those of _retry.
        """
        auth = self._sign_in()
        return self._retry(action, lambda: self._call_once(function, auth), **options)

    def _download(
        self, function: Callable[[Any], Any], name: str, folder: Path, **sizes: Any
    ) -> Path:
        """Save the streaming response of ``function``; ``sizes`` are those of save_response."""
        auth = self._sign_in()

        def download_once() -> Path:
            response = self._call_once(function, auth)
            return save_response(
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
                with self._explain_errors(action):
                    return function()
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

    @contextlib.contextmanager
    def _explain_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except DigitsError:
            raise
        except Exception as error:
            raise explain(error, action, self.credential) from error

    def _call_once(self, function: Callable[[Any], T], auth: dict[str, str]) -> T:
        def work() -> T:
            with self._client(auth) as client:
                return function(client)

        return call_with_timeout(work, self.policy.call_timeout)

    @contextlib.contextmanager
    def _client(self, auth: dict[str, str]) -> Iterator[Any]:
        """Yield a kagglesdk client with our time-outs; ``auth``: its arguments with the secret."""
        local = os.environ.get("KAGGLE_API_ENVIRONMENT") == "LOCALHOST"
        environment = KaggleEnv.LOCAL if local else KaggleEnv.PROD
        client = KaggleClient(environment, response_processor=_require_json_object, **auth)
        with client:
            mount_timeouts(client.http_client()._session, self.policy)
            yield client

    def _sign_in(self) -> dict[str, str]:
        """Return the client's keyword arguments for the credential, once Kaggle accepted it."""
        if self._auth is None:
            self._auth = self._retry(
                "signing in",
                lambda: call_with_timeout(self._authenticate, self.policy.call_timeout),
            )
        return self._auth

    def _authenticate(self) -> dict[str, str]:
        credential = self.credential
        if credential.kind == API_KEY:  # the first call shows whether it is valid
            return {"username": credential.username or "", "password": credential.secret}
        if credential.kind == LOGIN:
            with self._client({}) as client:
                login = KaggleCredentials.load(client)
                token = login.get_access_token()
                return {"username": login.get_username() or "", "api_token": token}
        introspect = IntrospectTokenRequest()
        introspect.token = credential.secret
        try:
            with self._client({"api_token": credential.secret}) as client:
                answer = client.security.oauth_client.introspect_token(introspect)
                username = str(answer.username or "") if answer.active else ""
        except requests.HTTPError as error:
            if error.response.status_code not in (400, 403, 404):
                raise
            username = ""
        if not username:
            raise KaggleApiError(
                f"Kaggle does not accept the {credential}: wrong or expired; {CREDENTIAL_HELP}",
                status=401,
                not_applied=True,
            )
        return {"username": username, "api_token": credential.secret}


def _require_json_object(response: Any) -> None:
    """Raise NotJsonError for JSON that is not an object; kagglesdk would accept it as empty."""
    is_json = "application/json" in response.headers.get("Content-Type", "")
    if is_json and not isinstance(response.json(), dict):
        raise NotJsonError
