"""The competition at the other end of a wire, through Kaggle's own client.

Its calls are made one by one (kagglesdk) under its own authentication, because its ready-made
``competition_submit`` hides why an upload failed and whether a submission was already created,
and its ``competition_download_file`` writes to the final name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.download import download
from kaggle_digits.kaggle_api.errors import (
    COMPETITION,
    SUBMISSIONS_PAGE,
    KaggleApiError,
    NotJsonError,
    explain,
    one_line,
)
from kaggle_digits.kaggle_api.http import time_limits
from kaggle_digits.kaggle_api.retry import retry
from kaggle_digits.kaggle_api.session import KaggleSession

PAGE_SIZE = 100


@dataclass(frozen=True)
class RemoteFile:
    """A file of the competition: its name and the bytes it has once unpacked."""

    name: str
    bytes: int


@dataclass(frozen=True)
class RemoteSubmission:
    """A submission as Kaggle has it; ``status`` is PENDING, COMPLETE or ERROR."""

    ref: int
    status: str
    public_score: float | None
    error: str
    description: str


@dataclass(frozen=True)
class SubmissionLimits:
    """Submissions made today and still allowed; both 0 before the first ever."""

    today: int
    remaining: int

    @property
    def known(self) -> bool:
        """Kaggle answers 0 and 0 for someone who has never submitted."""
        return bool(self.today or self.remaining)


class CompetitionClient(KaggleSession):
    """Kaggle's Digit Recognizer, as the user whose credential is found; see KaggleSession."""

    def username(self) -> str | None:
        """Whose credential it is, as far as the client knows, once Kaggle has accepted it."""
        name = self._session.api().config_values.get("username")
        return str(name) if name else None

    def list_files(self) -> list[RemoteFile]:
        """The competition's files."""
        doing = "listing the competition's files"
        answer = self._session.ask(doing, lambda api: api.competition_list_files(COMPETITION))
        found = [RemoteFile(str(f.name), int(f.total_bytes or 0)) for f in answer.files or []]
        if not found:
            raise KaggleError(
                f"Kaggle lists no files for {COMPETITION}; try again later, or download them in "
                "a browser and: kd fetch --source digit-recognizer.zip"
            )
        return found

    def download(self, file: RemoteFile, folder: Path) -> Path:
        """Download ``file`` into ``folder``, going on where an earlier try was cut short.

        Returns:
            The whole file, under the name Kaggle serves it by: train.csv or train.csv.zip.
        """
        from kagglesdk.competitions.types.competition_api_service import (
            ApiDownloadDataFileRequest,
        )

        doing = f"downloading {file.name}"

        def start(api: Any) -> Any:
            request = ApiDownloadDataFileRequest()
            request.competition_name, request.file_name = COMPETITION, file.name
            with api.build_kaggle_client() as kaggle:
                return kaggle.competitions.competition_api_client.download_data_file(request)

        def once() -> Path:
            response = self._session.ask(doing, start, tries=1)
            with (
                self._session.explained(doing),
                time_limits(self.policy.connect_timeout, self.policy.read_timeout),
            ):
                return download(
                    response,
                    file.name,
                    file.bytes,
                    folder,
                    self.progress,
                    slow=self.policy.slow_timeout,
                )

        self._session.api()
        return retry(once, self.policy, self.progress.note)

    def submission_limits(self) -> SubmissionLimits:
        """How many submissions are left today."""
        answer = self._session.ask(
            "asking for the submissions left",
            lambda api: api.competition_get_submission_limits(COMPETITION),
        )
        return SubmissionLimits(int(answer.num_today or 0), int(answer.num_allowed_now or 0))

    def upload(self, name: str, content: bytes) -> str:
        """Send the bytes of a file called ``name``; nothing is submitted yet.

        Returns:
            The token that ``create`` submits them by.
        """
        from kagglesdk.competitions.types.competition_api_service import (
            ApiStartSubmissionUploadRequest,
        )

        doing = f"uploading {name}"

        def start(api: Any) -> Any:
            request = ApiStartSubmissionUploadRequest()
            request.competition_name, request.file_name = COMPETITION, name
            request.content_length = len(content)
            request.last_modified_epoch_seconds = int(time.time())
            with api.build_kaggle_client() as kaggle:
                return kaggle.competitions.competition_api_client.start_submission_upload(request)

        def once() -> str:
            import requests

            place = self._session.ask(doing, start, tries=1)
            if not place.token or not place.create_url:
                raise explain(NotJsonError(), doing, self.credential)

            def put(_: Any) -> None:
                answer = requests.put(place.create_url, data=content)
                if answer.status_code not in (200, 201):
                    again = answer.status_code >= 500 or answer.status_code in (408, 429)
                    raise KaggleApiError(
                        f"the upload of {name} failed ({answer.status_code}), so nothing was "
                        "submitted; run it again in a few minutes",
                        status=answer.status_code,
                        retryable=again,
                        not_applied=True,
                    )

            self._session.ask(doing, put, tries=1)
            return str(place.token)

        self._session.api()
        return retry(once, self.policy, self.progress.note)

    def create_submission(self, token: str, description: str) -> int:
        """Submit uploaded bytes: asked again only where it is certain that nothing was submitted.

        Returns:
            The submission's ref.

        Raises:
            KaggleApiError: ``not_applied`` where it is certain that nothing was submitted.
        """
        from kagglesdk.competitions.types.competition_api_service import ApiCreateSubmissionRequest

        doing = "submitting"

        def send(api: Any) -> Any:
            request = ApiCreateSubmissionRequest()
            request.competition_name, request.blob_file_tokens = COMPETITION, token
            request.submission_description = description
            with api.build_kaggle_client() as kaggle:
                return kaggle.competitions.competition_api_client.create_submission(request)

        def once() -> int:
            try:
                answer = self._session.ask(doing, send, tries=1)
            except KaggleApiError as error:
                error.retryable = error.retryable and error.not_applied
                raise
            if not answer.ref:
                words = one_line(str(answer.message or "")) or "no reason given"
                raise KaggleApiError(
                    f"Kaggle did not confirm the submission ({words}); look at "
                    f"{SUBMISSIONS_PAGE}, then run it again"
                )
            return int(answer.ref)

        return retry(once, self.policy, self.progress.note)

    def get_submission(self, ref: int) -> RemoteSubmission:
        """One submission."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        doing = f"asking for the status of submission {ref}"

        def get(api: Any) -> Any:
            request = ApiGetSubmissionRequest()
            request.ref = ref
            with api.build_kaggle_client() as kaggle:
                answer = kaggle.competitions.competition_api_client.get_submission(request)
                if not answer.ref:
                    raise NotJsonError
                return answer

        return _submission(self._session.ask(doing, get))

    def list_submissions(self) -> list[RemoteSubmission]:
        """The newest submissions, newest first."""
        answer = self._session.ask(
            "listing your submissions",
            lambda api: api.competition_submissions(COMPETITION, page_size=PAGE_SIZE),
        )
        return [_submission(one) for one in _present(answer)]


def _present(answer: Iterable[Any] | None) -> list[Any]:
    return [one for one in answer or [] if one is not None]


def _submission(answer: Any) -> RemoteSubmission:
    try:
        score = float(answer.public_score)
    except (TypeError, ValueError):
        score = None
    return RemoteSubmission(
        ref=int(answer.ref),
        status=str(getattr(answer.status, "name", answer.status)),
        public_score=score,
        error=one_line(str(answer.error_description or "")),
        description=str(answer.description or ""),
    )
