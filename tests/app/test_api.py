"""The JSON API of the app."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw

from kaggle_digits.app import api
from kaggle_digits.app.api import PAGE, create_app
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.imaging.labelled_folder import read_labels, remove_drawing
from kaggle_digits.inference.embedding import Embedding
from kaggle_digits.inference.predictor import classify_picture, load_predictor
from tests.support.app_server import Address, get_raw, serve_app
from tests.support.hostile_requests import TRAVERSAL_PATHS
from tests.support.pictures import draw_digit, draw_strokes, encode

CLASSIFY, STEPS, OCCLUSION = "/api/classify", "/api/steps", "/api/occlusion"
ACTIVATIONS = "/api/activations"
DRAWINGS = "/api/drawings"
CLASSIFY_ONE = """
import asyncio, sys
from pathlib import Path
import httpx
from kaggle_digits.app import run_server
from kaggle_digits.app.api import create_app

async def classify():
    transport = httpx.ASGITransport(create_app(Path(sys.argv[1])))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.post("/api/classify", content=Path("seven.png").read_bytes())
        assert response.status_code == 200
        assert (await client.get("/api/runs")).status_code == 200

asyncio.run(classify())
print(*[name for name in sys.modules if "." not in name])
"""


def assert_error(response: httpx.Response, code: int, *words: str) -> None:
    """Assert that the response is an error in one line that contains all ``words``."""
    assert response.status_code == code
    (key,) = response.json()
    assert key == "detail"
    detail = response.json()["detail"]
    assert "\n" not in detail
    assert all(word in detail for word in words), detail


def test_page_and_its_files_are_served(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    assert len(files) == 2
    media_types = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
    for path in PAGE.iterdir():
        response = client.get(f"/page/{path.name}")
        assert response.headers["content-type"].startswith(media_types[path.suffix])
        hosts = set(re.findall(r"https?://([^/'\"]+)", response.text))
        assert hosts <= {"www.w3.org"}, "an XML namespace is not fetched"


@pytest.mark.parametrize("path", TRAVERSAL_PATHS)
def test_paths_outside_the_page_are_not_served(address: Address, path: str) -> None:
    response = get_raw(address, path, "localhost")
    assert response.startswith(b"HTTP/1.1 4"), response[:200]
    assert not any(word in response for word in (b"root:", b"import ", b"PATH="))


def test_health_and_runs(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "run": "dense"}
    assert client.get("/api/runs").json() == {
        "runs": [{"name": "dense", "accuracy": 0.95}, {"name": "second", "accuracy": 0.9}],
        "default": "dense",
        "plane": True,
    }


@pytest.mark.parametrize("digit", [1, 4, 7])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_classify_gives_the_prediction_of_the_library(
    client: httpx.Client, runs_dir: Path, digit: int, kind: str
) -> None:
    picture = draw_digit(digit, pen=255, paper=0) if kind == "BMP" else draw_digit(digit)
    response = client.post(CLASSIFY, content=encode(picture, kind, quality=100)).json()
    assert response["run"] == "dense"
    assert len(response["probabilities"]) == 10
    assert sum(response["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert response["confidence"] == max(response["probabilities"])
    assert len(response["image"]) == 784
    assert max(response["image"]) > 200
    assert all(abs(value) < 0.2 for value in response["plane"]), "the digit is centred"
    if kind in {"PNG", "BMP"}:
        expected = classify_picture(load_predictor(runs_dir), picture)
        assert (response["digit"], response["runner_up"]) == (expected.digit, expected.runner_up)
        assert response["probabilities"] == pytest.approx(expected.probabilities.tolist(), abs=1e-5)
        assert response["image"] == expected.image.ravel().tolist()


def test_empty_picture_gives_no_digit(client: httpx.Client) -> None:
    response = client.post(CLASSIFY, content=encode(Image.new("L", (90, 60), 255))).json()
    values = [response[key] for key in ("digit", "confidence", "runner_up", "plane")]
    assert values == [None] * 4
    assert response["note"] == "no digit found"


def test_several_digits_are_read_in_order(client: httpx.Client) -> None:
    sheet = Image.new("L", (400, 200), 255)
    places = {7: (20, 50), 1: (150, 45), 4: (280, 55)}
    for digit, corner in places.items():
        draw_strokes(sheet, digit, corner, 100)
    response = client.post(CLASSIFY, content=encode(sheet)).json()
    (line,) = response["lines"]
    assert line == "".join(str(each["digit"]) for each in response["digits"])
    assert len(line) == 3
    for each, (x, y) in zip(response["digits"], places.values(), strict=True):
        left, top, right, bottom = each["box"]
        assert x - 9 <= left < right <= x + 109
        assert y - 9 <= top < bottom <= y + 109
    one = client.post(CLASSIFY, content=encode(draw_digit(7, 300))).json()
    assert one["digits"] == one["lines"] == []
    # The stroke from 86 to 214 pixels has a width of 14 and round ends.
    assert one["box"] == pytest.approx([90, 75, 208, 218], abs=10)


def test_steps_of_the_preparation(client: httpx.Client) -> None:
    steps = client.post(STEPS, content=encode(draw_digit(7))).json()["steps"]
    assert [step["name"] for step in steps][:2] == ["picture", "ink"]
    assert steps[-1]["name"] == "what the network sees"
    assert all(step["image"].startswith("data:image/png;base64,") for step in steps)
    assert_error(client.post(STEPS, content=b"text"), 400, "this file is not a readable picture")


def test_occlusion_shows_what_a_prediction_depends_on(client: httpx.Client) -> None:
    picture = encode(draw_digit(7))
    predicted = client.post(CLASSIFY, content=picture).json()
    shown = client.post(OCCLUSION, content=picture, params={"run": "second"}).json()
    assert shown["digit"] == predicted["digit"]
    assert shown["image"] == predicted["image"]
    assert shown["lowest"] < shown["probability"] == pytest.approx(predicted["confidence"])
    assert len(shown["drop"]) == 28 * 28
    assert 0 < max(shown["drop"]) <= shown["probability"] - shown["lowest"]
    assert shown["drop"][0] == 0, "there is no ink in the corner"
    blank = encode(Image.new("L", (200, 200), 255))
    assert_error(client.post(OCCLUSION, content=blank), 400, "no digit found")


def test_first_layers_are_images(client: httpx.Client) -> None:
    response = client.post(ACTIVATIONS, content=encode(draw_digit(7)))
    steps = response.json()["steps"]
    assert all(re.fullmatch(r"\d+ units", step["name"]) for step in steps)
    assert all(step["image"].startswith("data:image/png;base64,") for step in steps)


def test_what_is_not_a_digit_is_doubted(client: httpx.Client) -> None:
    face = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(face)
    draw.ellipse((20, 20, 180, 180), outline=0, width=12)
    draw.ellipse((65, 65, 85, 85), fill=0)
    draw.ellipse((115, 65, 135, 85), fill=0)
    draw.arc((60, 70, 140, 150), 20, 160, fill=0, width=10)
    response = client.post(CLASSIFY, content=encode(face)).json()
    assert response["not_a_digit"]
    assert not client.post(CLASSIFY, content=encode(draw_digit(7))).json()["not_a_digit"]


def test_another_run_can_be_requested(client: httpx.Client) -> None:
    picture = encode(draw_digit(7))
    response = client.post(f"{CLASSIFY}?run=second", content=picture)
    assert response.json()["run"] == "second"
    assert_error(client.post(f"{CLASSIFY}?run=third", content=picture), 404, "third", "dense")
    assert_error(client.post(f"{CLASSIFY}?run=../x", content=picture), 404, "../x")


def test_drawings_are_saved_with_their_true_digits(runs_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawings"
    with (
        serve_app(runs_dir, drawings_dir=folder) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        assert client.get(DRAWINGS).json() == {"problem": ""}
        assert not folder.exists(), "nothing was saved yet"
        picture = encode(draw_digit(7))

        def save(label: int) -> str:
            return str(client.post(f"{DRAWINGS}?label={label}", content=picture).json()["file"])

        with ThreadPoolExecutor(5) as pool:
            names = list(pool.map(save, [7] * 5))
        assert sorted(names) == [f"drawings/000{number}.png" for number in range(1, 6)]
        assert {path.read_bytes() for path in folder.glob("*.png")} == {picture}
        assert read_labels(folder) == [(folder / f"000{number}.png", 7) for number in range(1, 6)]

        post = partial(client.post, f"{DRAWINGS}?label=1")
        assert_error(post(content=b"text"), 400, "this file is not a readable picture")
        assert_error(post(content=encode(draw_digit(7), "JPEG")), 400, "PNG of at most")
        other_site = {"Origin": "https://example.org"}
        assert_error(post(content=picture, headers=other_site), 403, "another site")
        assert client.post(f"{DRAWINGS}?label=12", content=picture).status_code == 422
        assert len(read_labels(folder)) == 5

        saved = post(content=picture).json()
        assert saved["file"] == "drawings/0006.png"
        undo = f"{DRAWINGS}?undo={saved['undo']}"
        assert_error(client.delete(undo, headers=other_site), 403, "another site")
        assert_error(client.delete(f"{DRAWINGS}?undo=0006.png"), 404, "can no longer be undone")
        assert len(read_labels(folder)) == 6
        assert client.delete(undo).json() == {"file": saved["file"]}
        assert read_labels(folder) == [(folder / f"000{number}.png", 7) for number in range(1, 6)]
        assert not (folder / "0006.png").exists()
        assert_error(client.delete(undo), 404, "can no longer be undone")

        saved = post(content=picture).json()
        remove_drawing(tmp_path / saved["file"], 1)  # by somebody else
        undo = f"{DRAWINGS}?undo={saved['undo']}"
        assert_error(client.delete(undo), 400, "has been changed")
        assert post(content=picture).json()["file"] == saved["file"]
        assert_error(client.delete(undo), 404, "can no longer be undone")


def test_folder_of_drawings_that_cannot_be_written(runs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        serve_app(runs_dir, drawings_dir=tmp_path / "file" / "drawings") as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        assert "in the way" in client.get(DRAWINGS).json()["problem"]
        response = client.post(f"{DRAWINGS}?label=7", content=encode(draw_digit(7)))
        assert_error(response, 500, "in the way")


def test_openapi_document(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = {"/healthz", "/api/runs", CLASSIFY, STEPS, OCCLUSION, ACTIVATIONS, DRAWINGS}
    paths |= {"/api/plane"}
    assert set(document["paths"]) == paths
    classify = document["paths"][CLASSIFY]["post"]
    content = classify["requestBody"]["content"]
    assert content["image/*"]["schema"] == {"type": "string", "format": "binary"}
    assert {"200", "400", "403", "404", "413"} <= set(classify["responses"])
    assert [parameter["name"] for parameter in classify["parameters"]] == ["run"]
    fields = {"run", "digit", "confidence", "runner_up", "note", "probabilities", "image", "plane"}
    schema = document["components"]["schemas"]["ClassifyResponse"]
    fields |= {"not_a_digit", "mirrored", "box", "digits", "lines", "sheet_note"}
    assert set(schema["properties"]) == fields
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_plane_returns_a_sample_of_points(client: httpx.Client, embedding: Embedding) -> None:
    points = client.get("/api/plane").json()["points"]
    assert len(points) == 1500 < len(embedding.points)
    assert {label for _, _, label in points} == set(range(10))
    assert points[0] == pytest.approx([*embedding.points[0], embedding.labels[0]], abs=1e-3)


def test_embedding_is_found_after_the_start(
    runs_dir: Path, embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = encode(draw_digit(1))
    monkeypatch.setattr(api, "load_embedding", lambda folder: None)
    with serve_app(runs_dir) as url, httpx.Client(base_url=url) as client:
        assert_error(client.get("/api/plane"), 404, "kd study bottleneck")
        assert client.get("/api/runs").json()["plane"] is False
        assert client.post(CLASSIFY, content=picture).json()["plane"] is None
        monkeypatch.setattr(api, "load_embedding", lambda folder: embedding)
        assert client.get("/api/plane").status_code == 200
        assert client.post(CLASSIFY, content=picture).json()["plane"] is not None


def test_concurrent_requests_get_the_same_predictions(client: httpx.Client) -> None:
    pictures = {digit: encode(draw_digit(digit)) for digit in (1, 4, 7)}
    expected = {
        digit: client.post(CLASSIFY, content=picture).json() for digit, picture in pictures.items()
    }

    def is_same(k: int) -> bool:
        digit, run = list(pictures)[k % 3], ("dense", "second")[k % 2]
        response = client.post(f"{CLASSIFY}?run={run}", content=pictures[digit]).json()
        return bool(response == {**expected[digit], "run": run})

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(is_same, range(120)))


def test_unusable_run_is_reported_before_the_start(runs_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no finished run .*; train one"):
        create_app(tmp_path)
    with pytest.raises(RunError, match="no run called third"):
        create_app(runs_dir, "third")
    with pytest.raises(UsageError):
        create_app(runs_dir, "../second")
    state = create_app(runs_dir, "second").state
    assert (state.run, "run second was trained on the sample" in state.caveat) == ("second", True)


def test_app_does_not_import_large_packages(runs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "seven.png").write_bytes(encode(draw_digit(7)))
    command = [sys.executable, "-c", CLASSIFY_ONE, str(runs_dir)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    large = {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "kaggle"}
    assert not set(done.stdout.split()) & large
