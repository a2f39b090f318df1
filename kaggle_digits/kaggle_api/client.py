"""The Digit Recognizer competition at Kaggle: its files and the user's submissions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglesdk.competitions.types import competition_api_service as types

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.errors import (
    COMPETITION,
    SUBMISSIONS_PAGE,
    KaggleApiError,
    NotJsonError,
    one_line,
)
from kaggle_digits.kaggle_api.http import send_request
from kaggle_digits.kaggle_api.session import KaggleSession

PAGE_SIZE = 100


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


@dataclass(frozen=True)
class SubmissionLimits:
    """Submissions made today and submissions left today."""

    today: int
    remaining: int

    @property
    def known(self) -> bool:
        """Kaggle returns 0 for both to a user who has never submitted."""
        return bool(self.today or self.remaining)


class CompetitionClient(KaggleSession):
    """Access the Digit Recognizer as the owner of the credential found; see KaggleSession."""

    def list_files(self) -> list[RemoteFile]:
        """List the competition's files."""
        request = types.ApiListDataFilesRequest()
        request.competition_name, request.page_size = COMPETITION, PAGE_SIZE
        response = self.call(
            "listing the competition's files", lambda client: _api(client).list_data_files(request)
        )
        files = [RemoteFile(str(f.name), int(f.total_bytes or 0)) for f in response.files or []]
        if not files:
            raise KaggleError(
                f"Kaggle lists no files for {COMPETITION}; try again later, or download them in "
                "a browser and: kd fetch --source digit-recognizer.zip"
            )
        return files

    def download_file(self, file: RemoteFile, folder: Path) -> Path:
        """Download ``file`` and return its path, named as Kaggle serves it (.csv or .csv.zip)."""
        request = types.ApiDownloadDataFileRequest()
        request.competition_name, request.file_name = COMPETITION, file.name
        return self._download(
            lambda client: _api(client).download_data_file(request),
            file.name,
            folder,
            expected_size=file.size,
        )

    def submission_limits(self) -> SubmissionLimits:
        """Return how many submissions were made today and how many are left."""
        request = types.ApiGetSubmissionLimitsRequest()
        request.competition_name = COMPETITION
        limits = self.call(
            "reading the number of submissions left",
            lambda client: _api(client).get_submission_limits(request),
        )
        return SubmissionLimits(int(limits.num_today or 0), int(limits.num_allowed_now or 0))

    def upload(self, name: str, content: bytes) -> str:
        """Upload a file and return the token with which ``create_submission`` submits it."""

        def upload_once(client: Any) -> str:
            request = types.ApiStartSubmissionUploadRequest()
            request.competition_name, request.file_name = COMPETITION, name
            request.content_length = len(content)
            request.last_modified_epoch_seconds = int(time.time())
            upload = _api(client).start_submission_upload(request)
            if not upload.token or not upload.create_url:
                raise NotJsonError
            response = send_request("PUT", upload.create_url, self.policy, data=content)
            status = response.status_code
            if status not in (200, 201):
                raise KaggleApiError(
                    f"the upload of {name} failed ({status}), so nothing was submitted; run it "
                    "again in a few minutes",
                    status=status,
                    retryable=status >= 500 or status in (408, 429),
                    not_applied=True,
                )
            return str(upload.token)

        return self.call(f"uploading {name}", upload_once)

    def create_submission(self, token: str, description: str) -> int:
        """Submit uploaded bytes and return the ref; never submit them twice.

        The error's ``not_applied`` tells whether it is certain that nothing was submitted.
        """
        request = types.ApiCreateSubmissionRequest()
        request.competition_name, request.blob_file_tokens = COMPETITION, token
        request.submission_description = description
        response = self.call(
            "submitting", lambda client: _api(client).create_submission(request), idempotent=False
        )
        if not response.ref:
            reason = one_line(str(response.message or "")) or "no reason given"
            raise KaggleApiError(
                f"Kaggle did not confirm the submission ({reason}); look at {SUBMISSIONS_PAGE}, "
                "then run it again"
            )
        return int(response.ref)

    def get_submission(self, ref: int) -> RemoteSubmission:
        """Return one submission."""

        def get(client: Any) -> RemoteSubmission:
            request = types.ApiGetSubmissionRequest()
            request.ref = ref
            response = _api(client).get_submission(request)
            if not response.ref:
                raise NotJsonError
            return _submission(response)

        return self.call(f"reading the status of submission {ref}", get)

    def list_submissions(self) -> list[RemoteSubmission]:
        """List the newest submissions, newest first."""
        request = types.ApiListSubmissionsRequest()
        request.competition_name, request.page, request.page_size = COMPETITION, 1, PAGE_SIZE
        response = self.call(
            "listing your submissions", lambda client: _api(client).list_submissions(request)
        )
        return [_submission(one) for one in response.submissions or [] if one is not None]


def _api(client: Any) -> Any:
    return client.competitions.competition_api_client


def _submission(response: Any) -> RemoteSubmission:
    try:
        score = float(response.public_score)
    except (TypeError, ValueError):
        score = None
    return RemoteSubmission(
        ref=int(response.ref),
        status=str(getattr(response.status, "name", response.status)),
        public_score=score,
        error=one_line(str(response.error_description or "")),
        description=str(response.description or ""),
    )
