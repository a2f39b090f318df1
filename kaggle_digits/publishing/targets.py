"""Where a folder is published: a model repository on the Hugging Face Hub, or Kaggle Models.

Neither replaces anything: a repository with files, or a model with versions, only gets another
version, and only if the user asks for that.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import DigitsError, UsageError, one_line
from kaggle_digits.core.extras import needs
from kaggle_digits.kaggle_api import credentials
from kaggle_digits.kaggle_api.client import KaggleSession, new
from kaggle_digits.kaggle_api.errors import KaggleApiError, explained
from kaggle_digits.publishing.card import LICENCES
from kaggle_digits.training.export import README

NAME = re.compile(r"(hf|kaggle):([A-Za-z0-9][\w-]*)/([A-Za-z0-9][\w.-]{0,95})")
HUB_HELP = (
    "create a token with write access at https://huggingface.co/settings/tokens and set the "
    "variable HF_TOKEN, or run: hf auth login"
)


class PublishError(DigitsError):
    """The folder was not published; the message says why."""


@dataclass(frozen=True)
class Target:
    """A model on a site: ``hf`` (the Hugging Face Hub) or ``kaggle``."""

    site: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.site}:{self.owner}/{self.name}"


@dataclass(frozen=True)
class Publication:
    """What is sent. ``version`` names it on Kaggle: the run; ``kind`` is the model's format."""

    folder: Path
    version: str
    kind: str
    licence: str
    private: bool = True
    new_version: bool = False

    @property
    def files(self) -> list[Path]:
        """The files of the folder, without hidden ones."""
        return sorted(p for p in self.folder.iterdir() if p.is_file() and p.name[0] != ".")


def parse_target(text: str) -> Target:
    """Return the target of ``hf:OWNER/NAME`` or ``kaggle:OWNER/NAME``; UsageError otherwise."""
    if match := NAME.fullmatch(text):
        return Target(*match.groups())
    raise UsageError(f"`to={text!r}` is neither hf:OWNER/NAME nor kaggle:OWNER/NAME")


def check_login(target: Target) -> None:
    """Raise the error of ``publish`` that a package or a token is missing, before any work."""
    if target.site == "hf":
        _hub_token()
    else:
        credentials.require()


def publish(publication: Publication, target: Target, **session: Any) -> str:
    """Send the folder and return its address; ``session`` has arguments of KaggleSession.

    Raises:
        PublishError: there is a version already and ``new_version`` was not given, or the Hub
            rejected it or cannot be reached.
        KaggleError: the same for Kaggle.
        UsageError: the Hub's package is not installed.
    """
    if target.site == "hf":
        return _publish_to_hub(publication, target)
    return _KaggleModels(**session).publish(publication, target)


def _existing(target: Target, what: str) -> PublishError:
    return PublishError(
        f"{target} already has {what}; `new_version=True` adds a version and keeps the old one, "
        "or choose another name"
    )


def _publish_to_hub(publication: Publication, target: Target) -> str:
    token = _hub_token()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _commit(HfApi(os.environ.get("HF_ENDPOINT"), token=token), publication, target)
    except HfHubHTTPError as error:
        raise PublishError(_explain_hub(error, target)) from error
    except DigitsError:
        raise
    except Exception as error:  # of the HTTP library, which is another one in each version
        raise PublishError(
            f"the Hugging Face Hub cannot be reached ({one_line(error, 100)}); check the network "
            f"and look at the page of {target.owner}/{target.name} before you try again"
        ) from error


def _hub_token() -> str:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with needs("publishing on Hugging Face", "hub"):
        from huggingface_hub import get_token
    token: str | None = get_token()
    if not token:
        raise PublishError(f"no Hugging Face token found; {HUB_HELP}")
    return token


def _commit(api: Any, publication: Publication, target: Target) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.errors import RepositoryNotFoundError

    name = f"{target.owner}/{target.name}"
    try:
        info = api.repo_info(name)
    except RepositoryNotFoundError:
        api.create_repo(name, private=publication.private)
        info = api.repo_info(name)
    # The Hub itself makes .gitattributes; other old files stay in the repository's history.
    old = {file.rfilename for file in info.siblings or []} - {".gitattributes"}
    if old and not publication.new_version:
        raise _existing(target, f"{len(old)} files")
    files = {path.name: path for path in publication.files}
    operations = [CommitOperationDelete(path) for path in sorted(old - files.keys())]
    operations += [CommitOperationAdd(name, str(path)) for name, path in files.items()]
    message = f"{publication.version}, by kd publish"
    # Fails if somebody changed the repository since it was looked at.
    commit = api.create_commit(name, operations, commit_message=message, parent_commit=info.sha)
    return str(commit.commit_url)


def _explain_hub(error: Any, target: Target) -> str:
    status = int(error.response.status_code)
    reason = one_line(getattr(error, "server_message", None) or error, 120)
    advice = {
        401: f"the token is wrong or expired: {HUB_HELP}",
        403: f"the token may not write to {target.owner}: {HUB_HELP}",
        412: "somebody else changed it at the same time: look at its page, then try again",
    }
    advice[404] = advice[403]
    return f"the Hugging Face Hub rejects {target} ({status}: {reason}); " + advice.get(
        status, "look at its page, then try again"
    )


class _KaggleModels(KaggleSession):
    """Kaggle Models: a model has instances, one per run and format, and these have versions."""

    service = "models.model_api_client"

    def publish(self, publication: Publication, target: Target) -> str:
        from kagglesdk.models.types import model_api_service as types
        from kagglesdk.models.types.model_enums import ModelFramework

        framework, path = {
            "litert": (ModelFramework.MODEL_FRAMEWORK_TF_LITE, "tfLite"),
            "onnx": (ModelFramework.MODEL_FRAMEWORK_ONNX, "onnx"),
        }[publication.kind]
        slug = re.sub(r"[^a-z0-9]+", "-", publication.version.lower()).strip("-")
        model = {"owner_slug": target.owner, "model_slug": target.name}
        instance = {"framework": framework, "instance_slug": slug}
        card = (publication.folder / README).read_text(encoding="utf-8").partition("\n---\n")[2]
        if self._get("get_model", new(types.ApiGetModelRequest, **model)) is None:
            names = {"owner_slug": target.owner, "slug": target.name, "title": target.name}
            kind, private = types.ApiCreateModelRequest, publication.private
            request = new(kind, **names, is_private=private, description=card)
            self._change("create_model", request, target)
        found = self._get(
            "get_model_instance", new(types.ApiGetModelInstanceRequest, **model, **instance)
        )
        if found is not None and not publication.new_version:
            raise _existing(target, f"the variation {path}/{slug}")
        files = [self._upload_file(file) for file in publication.files]
        if found is None:
            about: dict[str, Any] = {"overview": f"Run {publication.version}", "usage": card}
            about |= {"license_name": LICENCES[publication.licence], "fine_tunable": False}
            body = new(types.ApiCreateModelInstanceRequestBody, **instance, **about, files=files)
            request = new(types.ApiCreateModelInstanceRequest, **model, body=body)
            self._change("create_model_instance", request, target)
        else:
            kind = types.ApiCreateModelInstanceVersionRequestBody
            body = new(kind, version_notes=f"kd publish {publication.version}", files=files)
            kind = types.ApiCreateModelInstanceVersionRequest
            request = new(kind, **model, **instance, body=body)
            self._change("create_model_instance_version", request, target)
        return f"https://www.kaggle.com/models/{target.owner}/{target.name}/{path}/{slug}"

    def _get(self, method: str, request: Any) -> Any:
        """Return a model or instance; None if there is none that this user may see."""
        try:
            return self.request("looking for the model", method, request)
        except KaggleApiError as error:
            if error.status in (403, 404):
                return None
            raise

    def _change(self, method: str, request: Any, target: Target) -> None:
        denied = (
            f"Kaggle does not let the {self.credential} publish {target} ({{status}}: {{reason}}); "
            "OWNER must be your user name or an organization of yours"
        )
        with explained(dict.fromkeys((400, 403, 404), denied)):
            response = self.request(f"publishing {target}", method, request, idempotent=False)
        if response.error:
            raise KaggleApiError(f"Kaggle rejects {target}: {one_line(response.error)}")

    def _upload_file(self, path: Path) -> Any:
        """Upload a file; return the entry that names it in a request."""
        from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest
        from kagglesdk.datasets.types.dataset_api_service import ApiDatasetNewFile

        request = new(ApiStartBlobUploadRequest, type=ApiBlobType.MODEL, name=path.name)
        method = "blobs.blob_api_client.start_blob_upload"
        token = self._upload(path.name, path.read_bytes(), method, request)
        return new(ApiDatasetNewFile, token=token)
