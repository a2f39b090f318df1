"""Kaggle's notebooks at the other end of the wire: saved, looked at, their output fetched.

The calls are made one by one (kagglesdk): the client's ready-made ones turn every 401 and 403 into
"wrong kernel slug", and know nothing of time-outs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.credentials import SETTINGS_PAGE
from kaggle_digits.kaggle_api.errors import (
    COMPETITION,
    RULES_PAGE,
    KaggleApiError,
    NotJsonError,
    one_line,
)
from kaggle_digits.kaggle_api.http import send_request
from kaggle_digits.kaggle_api.session import KaggleSession
from kaggle_digits.kaggle_notebooks.notebooks import (
    STATES,
    Notebook,
    NotebookOutput,
    SavedVersion,
    SessionStatus,
    of_a_push,
    ref_of,
)

MOST_PAGES, PAGE_SIZE = 50, 100


class NotebookClient(KaggleSession):
    """Notebooks of the user whose credential is found; see KaggleSession."""

    def username(self) -> str:
        """Whose notebooks they are."""
        name = super().username()
        if not name:
            raise KaggleError(
                f"Kaggle does not say whose the {self.credential} is; make another token at "
                f"{SETTINGS_PAGE}"
            )
        return name

    def save(self, notebook: Notebook) -> SavedVersion:
        """Save a version and start it: asked again only where it is certain that none was saved.

        Raises:
            KaggleApiError: ``refused`` where it is certain that nothing was saved.
        """
        from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

        ref = f"{notebook.owner}/{notebook.slug}"

        def send(client: Any) -> Any:
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
            return client.kernels.kernels_api_client.save_kernel(request)

        try:
            answer = self.call(f"saving the notebook {ref}", send, idempotent=False)
        except KaggleApiError as error:
            raise of_a_push(error) from error
        if answer.error:
            raise KaggleApiError(
                f"Kaggle refuses the notebook {ref}: {one_line(str(answer.error))}",
                not_applied=True,
            )
        if answer.invalid_competition_sources:
            raise KaggleApiError(
                f"Kaggle saved {ref} without the competition's data; accept the rules at "
                f"{RULES_PAGE} and push again"
            )
        if not (answer.ref or answer.url):
            raise KaggleApiError(f"Kaggle did not confirm the notebook {ref}")
        return SavedVersion(
            ref_of(answer, ref), str(answer.url or ""), int(answer.version_number or 0) or None
        )

    def state(self, ref: str) -> SessionStatus:
        """How the last session of a notebook stands: perhaps still an earlier version's."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

        def get(client: Any) -> Any:
            request = ApiGetKernelSessionStatusRequest()
            request.user_name, request.kernel_slug = ref.split("/")
            return client.kernels.kernels_api_client.get_kernel_session_status(request)

        answer = self._look(f"asking how notebook {ref} stands", ref, get)
        name = str(getattr(answer.status, "name", answer.status))
        return SessionStatus(
            STATES.get(name, name.lower()), one_line(str(answer.failure_message or ""))
        )

    def version(self, ref: str) -> int | None:
        """The number of the version that Kaggle shows; None where that cannot be learnt."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

        def get(client: Any) -> Any:
            request = ApiGetKernelRequest()
            request.user_name, request.kernel_slug = ref.split("/")
            return client.kernels.kernels_api_client.get_kernel(request)

        try:
            answer = self._look(f"asking for the version of {ref}", ref, get, attempts=1)
            return int(answer.metadata.current_version_number or 0) or None
        except (KaggleApiError, AttributeError):
            return None

    def output(self, ref: str) -> NotebookOutput:
        """What the last session that ended has left: all pages of its files, and the log."""
        from kagglesdk.kernels.types.kernels_api_service import (
            ApiListKernelSessionOutputRequest,
        )

        doing = f"listing the output of {ref}"
        files: dict[str, str] = {}
        log, token = "", ""
        for _ in range(MOST_PAGES):

            def get(client: Any, token: str = token) -> Any:
                request = ApiListKernelSessionOutputRequest()
                request.user_name, request.kernel_slug = ref.split("/")
                request.page_size = PAGE_SIZE
                if token:
                    request.page_token = token
                return client.kernels.kernels_api_client.list_kernel_session_output(request)

            answer = self._look(doing, ref, get)
            for one in answer.files or []:
                files[str(one.file_name)] = str(one.url)
            log = log or str(answer.log or "")
            token = str(answer.next_page_token or "")
            if not token:
                return NotebookOutput(files, log)
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

        def start(_: Any) -> Any:
            # The URL is signed for this file, so no credential is sent.
            response = send_request(
                "GET", url, self.policy, stream=True, headers={"Accept-Encoding": "identity"}
            )
            response.raise_for_status()
            return response

        try:
            return self._download(
                start,
                name,
                folder,
                expected_size=size,
                max_size=most,
                retry_command="kd remote pull",
            )
        except KaggleApiError as error:
            if error.status not in (400, 403, 404, 410):
                raise
            raise KaggleApiError(
                f"the address of {name} is no longer good ({error.status}); run it again: "
                "kd remote pull",
                status=error.status,
                not_applied=True,
            ) from error

    def _look(self, doing: str, ref: str, call: Any, *, attempts: int | None = None) -> Any:
        def checked(client: Any) -> Any:
            answer = call(client)
            if answer is None:
                raise NotJsonError
            return answer

        try:
            return self.call(doing, checked, attempts=attempts)
        except KaggleApiError as error:
            if error.status not in (403, 404):
                raise
            raise KaggleApiError(
                f"Kaggle shows no notebook {ref} to the {self.credential} ({error.status}); was "
                "it deleted, renamed, or pushed with another account? push it again",
                status=error.status,
                not_applied=True,
            ) from error
