"""Publishing to loopback servers: the Hugging Face Hub, with its own client, and Kaggle Models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DigitsError, KaggleError, UsageError
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.publishing.targets import Publication, PublishError, parse_target, publish
from tests.support import hub_server
from tests.support.faults import Fault
from tests.support.fixtures import home, kaggle, policy
from tests.support.hub_server import FakeHub
from tests.support.kaggle_server import FakeKaggle

__all__ = ["home", "kaggle", "policy"]
HUB, KAGGLE = parse_target("hf:some-user/digits"), parse_target("kaggle:some-user/digits")
INSTANCE = "some-user/digits/tfLite/dense-1"


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# dense-1\n")
    (folder / "model.tflite").write_bytes(b"model")
    (folder / ".DS_Store").write_bytes(b"not ours")
    return Publication(folder, "Dense_1", "litert", "mit")


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
        yield server


def test_hub_gets_a_private_repository_once(hub: FakeHub, publication: Publication) -> None:
    url = publish(publication, HUB)
    assert url.startswith(f"{hub.url}/some-user/digits/commit/")
    assert hub.private == {"some-user/digits": True}
    files = hub.repos["some-user/digits"]
    assert files.keys() == {".gitattributes", "README.md", "model.tflite"}
    assert files["model.tflite"] == b"model"
    with pytest.raises(
        PublishError, match=r"hf:some-user/digits already has 2 files; .new_version"
    ):
        publish(publication, HUB)
    assert len(hub.commits["some-user/digits"]) == 2
    (publication.folder / "model.tflite").rename(publication.folder / "model.onnx")
    publish(replace(publication, kind="onnx", new_version=True), HUB)
    assert hub.commits["some-user/digits"][1:] == [
        [".gitattributes", "README.md", "model.tflite"],
        [".gitattributes", "README.md", "model.onnx"],
    ]


@pytest.mark.parametrize(
    ("token", "target", "expected"),
    [
        ("", "hf:some-user/digits", "no Hugging Face token found; create a token with write"),
        ("hf_other", "hf:some-user/digits", r"\(401: .*the token is wrong or expired: create"),
        (hub_server.TOKEN, "hf:google/digits", r"\(403: .*the token may not write to google"),
    ],
)
def test_hub_refuses(
    token: str,
    target: str,
    expected: str,
    *,
    hub: FakeHub,
    publication: Publication,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PublishError, match=expected) as caught:
        publish(publication, parse_target(target))
    assert "\n" not in str(caught.value)
    assert not token or token not in str(caught.value)
    assert not hub.repos


def test_hub_changed_at_the_same_time_or_gone(
    hub: FakeHub, publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.changed = True
    with pytest.raises(PublishError, match="somebody else changed it at the same time"):
        publish(publication, HUB)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match="the Hugging Face Hub cannot be reached"):
        publish(publication, HUB)


def test_kaggle_gets_a_private_model_once(
    kaggle: FakeKaggle, publication: Publication, policy: RetryPolicy
) -> None:
    url = publish(publication, KAGGLE, policy=policy)
    assert url == "https://www.kaggle.com/models/some-user/digits/tfLite/dense-1"
    assert kaggle.models["some-user/digits"]["isPrivate"] is True
    assert kaggle.models["some-user/digits"]["description"] == "\n# dense-1\n"
    (instance,) = kaggle.instances
    (files,) = kaggle.instances[instance]
    assert files.keys() == {"README.md", "model.tflite"}
    assert kaggle.instance_requests[0]["body"]["licenseName"] == "MIT"
    with pytest.raises(
        PublishError, match=r"already has the variation tfLite/dense-1; .new_version"
    ):
        publish(publication, KAGGLE, policy=policy)
    assert len(kaggle.instances[instance]) == 1
    (publication.folder / "model.tflite").write_bytes(b"better")
    publish(replace(publication, new_version=True), KAGGLE, policy=policy)
    assert [one["model.tflite"] for one in kaggle.instances[instance]] == [b"model", b"better"]


def test_kaggle_refuses(
    kaggle: FakeKaggle,
    publication: Publication,
    policy: RetryPolicy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        KaggleError, match=r"publish kaggle:google/x \(403: Permission denied\); OWN"
    ):
        publish(publication, parse_target("kaggle:google/x"), policy=policy)
    # Not known whether it arrived: it is not sent again by itself.
    kaggle.fail("CreateModelInstance", Fault("lost"))
    with pytest.raises(KaggleError, match="the connection to Kaggle broke while publishing"):
        publish(publication, KAGGLE, policy=policy)
    assert kaggle.count("CreateModelInstance") == 1
    with pytest.raises(PublishError, match="already has the variation"):
        publish(publication, KAGGLE, policy=policy)
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(KaggleError, match="no Kaggle credential found"):
        publish(publication, KAGGLE, policy=policy)


@pytest.mark.parametrize("text", ["digits", "hf:digits", "s3:a/b", "hf:a/b/c", "kaggle:/b"])
def test_targets_have_a_site_an_owner_and_a_name(text: str) -> None:
    with pytest.raises(UsageError, match="is neither hf:OWNER/NAME nor kaggle:OWNER/NAME"):
        parse_target(text)
    assert issubclass(PublishError, DigitsError)
