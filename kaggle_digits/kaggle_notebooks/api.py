"""The client of Kaggle's notebook service: save a notebook, watch its session, fetch its output."""

from pathlib import Path
from typing import Any

from kagglesdk.kernels.types import kernels_api_service as kernels

from kaggle_digits.core.errors import KaggleError, one_line
from kaggle_digits.kaggle_api.client import KaggleSession, new
from kaggle_digits.kaggle_api.credentials import SETTINGS_PAGE
from kaggle_digits.kaggle_api.errors import COMPETITION, RULES_PAGE, KaggleApiError, explained
from kaggle_digits.kaggle_api.http import send_request

STATES = {  # of a session; the others are named as on Kaggle, in lower case
    "NEW_SCRIPT": "queued",
    "ERROR": "failed",
    "CANCEL_REQUESTED": "cancelled",
    "CANCEL_ACKNOWLEDGED": "cancelled",
}
MAX_PAGES, PAGE_SIZE = 50, 100


class NotebookClient(KaggleSession):
    """The notebooks of one Kaggle user."""

    service = "kernels.kernels_api_client"

    def save(
        self, ref: str, script: str, *, accelerator: str | None, internet: bool, seconds: int
    ) -> tuple[str, str, int | None]:
        """Save a version of the private notebook ``owner/slug`` and start it on ``accelerator``.

        It has the competition's data. ``accelerator`` is Kaggle's name of the machine, None for one
        without a GPU; ``seconds`` is the time limit of its session. Returns ``owner/slug``, the
        address, and the version number (None if Kaggle did not tell).

        KaggleApiError: ``not_applied`` tells whether certainly nothing was saved.
        """
        request = new(
            kernels.ApiSaveKernelRequest,
            slug=ref,
            text=script,
            new_title=ref.split("/")[1].replace("-", " "),  # Kaggle makes the slug of it
            language="python",
            kernel_type="script",
            competition_data_sources=[COMPETITION],
            is_private=True,
            enable_gpu=accelerator is not None,
            enable_internet=internet,
            session_timeout_seconds=seconds,
            machine_shape=accelerator,
        )
        messages = {
            400: "Kaggle rejects the notebook (400: {reason}); look at "
            "https://www.kaggle.com/code, or run it again with --debug",
            403: "Kaggle does not let this account save a notebook (403): accept the rules at "
            f"{RULES_PAGE}, verify your phone number at {SETTINGS_PAGE}, and push again",
        }
        with explained(messages):
            action = f"saving the notebook {ref}"
            response = self.request(action, "save_kernel", request, idempotent=False)
        if response.error:
            raise KaggleApiError(
                f"Kaggle rejects the notebook {ref}: {one_line(response.error)}",
                not_applied=True,
            )
        if response.invalid_competition_sources:
            raise KaggleApiError(
                f"Kaggle saved {ref} without the competition's data; accept the rules at "
                f"{RULES_PAGE} and push again"
            )
        if not (response.ref or response.url):
            raise KaggleApiError(f"Kaggle did not confirm the notebook {ref}")
        url = str(response.url or "")
        segments = str(response.ref or url).split("?")[0].strip("/").split("/")  # code/owner/slug
        saved_ref = "/".join(segments[-2:]) if len(segments) >= 2 else ref
        return saved_ref, url, int(response.version_number or 0) or None

    def session_state(self, ref: str) -> tuple[str, str]:
        """Return the state of the last session, maybe of an earlier version, and why it failed."""
        request = kernels.ApiGetKernelSessionStatusRequest()
        response = self._read(ref, "get_kernel_session_status", request)
        name = str(getattr(response.status, "name", response.status))
        return STATES.get(name, name.lower()), one_line(response.failure_message or "")

    def version(self, ref: str) -> int | None:
        """Return the number of the version that Kaggle shows; None if it does not tell."""
        try:
            response = self._read(ref, "get_kernel", kernels.ApiGetKernelRequest(), attempts=1)
            return int(response.metadata.current_version_number or 0) or None
        except (KaggleApiError, AttributeError):
            return None

    def output(self, ref: str) -> tuple[dict[str, str], str]:
        """Return file name → address of the output of the last session that ended, and its log."""
        files: dict[str, str] = {}
        log = ""
        request = new(kernels.ApiListKernelSessionOutputRequest, page_size=PAGE_SIZE)
        for _ in range(MAX_PAGES):
            response = self._read(ref, "list_kernel_session_output", request)
            files |= {str(file.file_name): str(file.url) for file in response.files or []}
            log = log or str(response.log or "")
            if not response.next_page_token:
                return files, log
            request.page_token = str(response.next_page_token)
        raise KaggleError(f"{ref} has more files than a run has; look at its page")

    def download(self, name: str, url: str, folder: Path, *, max_size: int, size: int = 0) -> Path:
        """Download the output file ``name`` to ``folder``, resuming an interrupted download.

        ``size`` is its size in bytes, 0 if unknown; it is aborted at ``max_size`` bytes.
        """

        def start(_: Any) -> Any:
            # The address is signed for this file, so no credential is sent.
            headers = {"Accept-Encoding": "identity"}
            response = send_request("GET", url, self.policy, stream=True, headers=headers)
            response.raise_for_status()
            return response

        expired = f"the address of {name} has expired ({{status}}); run it again: kd remote pull"
        with explained(dict.fromkeys((400, 403, 404, 410), expired)):
            return self._download(start, name, folder, expected_size=size, max_size=max_size)

    def _read(self, ref: str, method: str, request: Any, *, attempts: int | None = None) -> Any:
        """Call a ``method`` of the service that reads from the notebook ``ref``."""
        request.user_name, request.kernel_slug = ref.split("/")
        action = f"reading the notebook {ref} ({method})"
        hidden = (
            f"Kaggle shows no notebook {ref} to the {self.credential} ({{status}}); was it "
            "deleted, renamed, or pushed with another account? push it again"
        )
        with explained(dict.fromkeys((403, 404), hidden)):
            return self.request(action, method, request, attempts=attempts)
