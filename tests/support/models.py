"""Kaggle's ModelApiService and BlobApiService, a part of FakeKaggle."""

from __future__ import annotations

from typing import Any

NOT_FOUND = {"code": 404, "message": "Not found"}


class FakeModels:
    """Kaggle Models, of which every user owns those of ``owner``.

    ``models``: OWNER/NAME → the request of CreateModel; ``instances``: OWNER/NAME/framework/slug →
    its versions, oldest first, each file name → bytes.
    """

    port: int
    owner = "some-user"
    _uploads: dict[str, tuple[str, bytes]]

    def start_models(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, list[dict[str, bytes]]] = {}
        self.instance_requests: list[dict[str, Any]] = []

    def _start_blob_upload(self, request: dict[str, Any]) -> dict[str, Any]:
        token = f"blob{len(self._uploads) + 1}"
        self._uploads[token] = (request["name"], b"")
        return {"token": token, "createUrl": f"http://127.0.0.1:{self.port}/upload/{token}"}

    def _get_model(self, request: dict[str, Any]) -> dict[str, Any]:
        ref = f"{request['ownerSlug']}/{request['modelSlug']}"
        return {"id": 1, "ref": ref} if ref in self.models else NOT_FOUND

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["ownerSlug"] != self.owner:
            return {"code": 403, "message": "Permission denied"}
        self.models[f"{request['ownerSlug']}/{request['slug']}"] = request
        return {"id": 1, "url": "/models/x"}

    def _get_model_instance(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"id": 2} if self._instance(request, request) in self.instances else NOT_FOUND

    def _create_model_instance(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._add(request, request["body"])

    def _create_model_instance_version(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._add(request, request)

    def _add(self, request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
        files = dict(self._uploads[file["token"]] for file in request["body"]["files"])
        self.instances.setdefault(self._instance(request, names), []).append(files)
        self.instance_requests.append(request)
        return {"id": 2, "url": "/models/x"}

    def _instance(self, request: dict[str, Any], names: dict[str, Any]) -> str:
        model = f"{request['ownerSlug']}/{request['modelSlug']}"
        return f"{model}/{names['framework']}/{names['instanceSlug']}"
