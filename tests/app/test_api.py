"""What the app answers, and what it refuses."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from kaggle_digits.app import model_cache
from kaggle_digits.app.api import PAGE, create_app
from kaggle_digits.app.middleware import SECURITY_HEADERS
from kaggle_digits.app.uploads import MAX_UPLOAD_BYTES
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.inference.classify import classify_picture
from kaggle_digits.inference.embedding import Embedding
from kaggle_digits.inference.predictor import load_predictor
from tests.app.conftest import served
from tests.support.pictures import draw_digit, encode

CLASSIFY = "/api/classify"
READ_ONCE = """
import asyncio, sys
from pathlib import Path
import httpx
from kaggle_digits.app import run_server
from kaggle_digits.app.api import create_app

async def read():
    transport = httpx.ASGITransport(create_app(Path(sys.argv[1])))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/api/classify", content=Path("seven.png").read_bytes())
        assert answer.status_code == 200
        assert (await client.get("/api/runs")).status_code == 200

asyncio.run(read())
print(*[name for name in sys.modules if "." not in name])
"""


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as asking:
        yield asking


def refused(answer: httpx.Response, code: int, *words: str) -> None:
    """One line that says all ``words``."""
    assert answer.status_code == code
    (key,) = answer.json()
    assert key == "detail"
    detail = answer.json()["detail"]
    assert "\n" not in detail
    assert all(word in detail for word in words), detail


def test_the_page_and_all_it_needs(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    assert len(named) == 2
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
    for path in PAGE.iterdir():
        file = client.get(f"/page/{path.name}")
        assert file.headers["content-type"].startswith(kinds[path.suffix])
        hosts = set(re.findall(r"https?://([^/'\"]+)", file.text))
        assert hosts <= {"www.w3.org"}, "a namespace is a name, not an address"


def test_every_answer_is_guarded(client: httpx.Client) -> None:
    for path in ("/", "/page/app.js", "/healthz", "/api/runs", "/nothing"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' data: blob:")


def test_health_and_runs(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "run": "dense"}
    assert client.get("/api/runs").json() == {
        "runs": [{"name": "dense", "accuracy": 0.95}, {"name": "second", "accuracy": 0.9}],
        "default": "dense",
        "plane": True,
    }


@pytest.mark.parametrize("digit", [1, 4, 7])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_picture_is_read_as_by_the_library(
    client: httpx.Client, runs_dir: Path, digit: int, kind: str
) -> None:
    picture = draw_digit(digit, pen=255, paper=0) if kind == "BMP" else draw_digit(digit)
    answer = client.post(CLASSIFY, content=encode(picture, kind, quality=100)).json()
    assert answer["run"] == "dense"
    assert len(answer["probabilities"]) == 10
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert answer["confidence"] == max(answer["probabilities"])
    assert len(answer["image"]) == 784
    assert max(answer["image"]) > 200
    assert all(abs(place) < 0.2 for place in answer["plane"]), "the digit stands in the middle"
    if kind in {"PNG", "BMP"}:
        alone = classify_picture(load_predictor(runs_dir), picture)
        assert (answer["digit"], answer["runner_up"]) == (alone.digit, alone.runner_up)
        assert answer["probabilities"] == pytest.approx(alone.probabilities.tolist(), abs=1e-5)
        assert answer["image"] == alone.image.ravel().tolist()


def test_no_digit(client: httpx.Client) -> None:
    answer = client.post(CLASSIFY, content=encode(Image.new("L", (90, 60), 255))).json()
    nothing = [answer[key] for key in ("digit", "confidence", "runner_up", "plane")]
    assert nothing == [None] * 4
    assert answer["note"] == "no digit found"


def test_another_run(client: httpx.Client) -> None:
    answer = client.post(f"{CLASSIFY}?run=second", content=encode(draw_digit(7)))
    assert answer.json()["run"] == "second"
    refused(
        client.post(f"{CLASSIFY}?run=third", content=encode(draw_digit(7))),
        404,
        "third",
        "dense",
    )
    refused(
        client.post(f"{CLASSIFY}?run=../x", content=encode(draw_digit(7))),
        404,
        "cannot name",
    )


@pytest.mark.parametrize("body", [b"", b"GIF89a", b"hello", b"<svg xmlns='x'/>"])
def test_what_is_no_picture(client: httpx.Client, body: bytes) -> None:
    refused(client.post(CLASSIFY, content=body), 400, "the picture")


def test_too_large_is_said_before_it_is_sent(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    with socket.create_connection((host, int(port)), 5) as line:
        line.sendall(f"{head}Content-Length: {MAX_UPLOAD_BYTES + 1}\r\n\r\n".encode())
        assert b"413" in line.recv(9999).splitlines()[0]
    with socket.create_connection((host, int(port)), 5) as line:
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        for _ in range(MAX_UPLOAD_BYTES // 0x100000 + 1):
            line.sendall(piece)
        answer = line.recv(9999)
        while b"}" not in answer:
            answer += line.recv(9999)
    assert b"413" in answer.splitlines()[0]
    assert b"10 MB" in answer


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://127.0.0.1:1"])
def test_other_sites_may_not_ask(client: httpx.Client, origin: str) -> None:
    answer = client.post(CLASSIFY, content=encode(draw_digit(1)), headers={"Origin": origin})
    refused(answer, 403, "another site")
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "its own"},
        {"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_its_own_page_and_programs_may(client: httpx.Client, headers: dict[str, str]) -> None:
    if headers.get("Origin") == "its own":
        headers = {"Origin": str(client.base_url).rstrip("/")}
    assert client.post(CLASSIFY, content=encode(draw_digit(1)), headers=headers).status_code == 200


def test_the_interface_is_described(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/healthz", "/api/runs", CLASSIFY, "/api/plane"}
    classify = document["paths"][CLASSIFY]["post"]
    content = classify["requestBody"]["content"]
    assert content["image/*"]["schema"] == {"type": "string", "format": "binary"}
    assert {"200", "400", "403", "404", "413"} <= set(classify["responses"])
    assert [parameter["name"] for parameter in classify["parameters"]] == ["run"]
    fields = {"run", "digit", "confidence", "runner_up", "note", "probabilities", "image", "plane"}
    assert set(document["components"]["schemas"]["ClassifyResponse"]["properties"]) == fields
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_the_plane(client: httpx.Client, plane: Embedding) -> None:
    points = client.get("/api/plane").json()["points"]
    assert len(points) == 1500 < len(plane.points)
    assert {label for _, _, label in points} == set(range(10))
    assert points[0] == pytest.approx([*plane.points[0], plane.labels[0]], abs=1e-3)


def test_a_plane_that_comes_later_is_found(
    runs_dir: Path, plane: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = encode(draw_digit(1))
    monkeypatch.setattr(model_cache, "load_embedding", lambda folder: None)
    with served(runs_dir) as address, httpx.Client(base_url=address) as client:
        refused(client.get("/api/plane"), 404, "kd study bottleneck")
        assert client.get("/api/runs").json()["plane"] is False
        assert client.post(CLASSIFY, content=body).json()["plane"] is None
        monkeypatch.setattr(model_cache, "load_embedding", lambda folder: plane)
        assert client.get("/api/plane").status_code == 200
        assert client.post(CLASSIFY, content=body).json()["plane"] is not None


def test_many_at_once_get_the_same_as_one_alone(client: httpx.Client) -> None:
    bodies = {digit: encode(draw_digit(digit)) for digit in (1, 4, 7)}
    alone = {d: client.post(CLASSIFY, content=body).json() for d, body in bodies.items()}

    def ask(k: int) -> bool:
        digit, run = list(bodies)[k % 3], ("dense", "second")[k % 2]
        answer = client.post(f"{CLASSIFY}?run={run}", content=bodies[digit]).json()
        return bool(answer == {**alone[digit], "run": run})

    with ThreadPoolExecutor(20) as crowd:
        assert all(crowd.map(ask, range(120)))


def test_a_run_that_cannot_be_read_is_said_before_the_start(runs_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="kd train"):
        create_app(tmp_path)
    with pytest.raises(RunError, match="no run called third"):
        create_app(runs_dir, "third")
    with pytest.raises(UsageError):
        create_app(runs_dir, "../second")
    assert create_app(runs_dir, "second").state.run == "second"


def test_nothing_heavy_is_imported(runs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "seven.png").write_bytes(encode(draw_digit(7)))
    command = [sys.executable, "-c", READ_ONCE, str(runs_dir)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "kaggle"}
    assert not set(done.stdout.split()) & heavy
