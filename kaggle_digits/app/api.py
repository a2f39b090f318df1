"""The web app: one page and its JSON API. Does not import TensorFlow."""

import asyncio
import base64
import mimetypes
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from kaggle_digits._version import __version__
from kaggle_digits.app.limits import MAX_UPLOAD_BYTES, UploadLimiter
from kaggle_digits.app.middleware import SecurityMiddleware
from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.environment import usable_cores
from kaggle_digits.core.errors import DataError, DigitsError, RunError, UsageError
from kaggle_digits.evaluation.saliency import probability_drop
from kaggle_digits.imaging.labelled_folder import find_write_problem, remove_drawing, save_drawing
from kaggle_digits.imaging.loading import MAX_PIXELS, PreparedPicture, TooManyPixelsError
from kaggle_digits.imaging.reader import ReaderPool
from kaggle_digits.inference.activations import draw_layer, first_layers
from kaggle_digits.inference.embedding import Embedding, load_embedding
from kaggle_digits.inference.predictor import (
    Predictor,
    classify_prepared,
    finished_runs,
    load_predictor,
)
from kaggle_digits.inference.sheet_reader import classify_sheet
from kaggle_digits.runs.store import open_run

PAGE = Path(__file__).parent / "page"
# A larger picture, in pixels, needs half a gigabyte while it is decoded.
LARGE_PICTURE, MAX_READERS = 4_000_000, 4
NAME = "this file"  # in messages
MAX_POINTS = 1500  # of the embedding that the page draws
MAX_UNDOABLE = 1000  # saved drawings that can be removed again, the newest
CANNOT_UNDO = "this drawing can no longer be undone here; delete its line in labels.csv"
NO_EMBEDDING = "there is no bottleneck study in the runs; run it: kd study bottleneck"
# Some Windows machines map .js to text/plain, and browsers then refuse to run the scripts.
mimetypes.add_type("text/javascript", ".js")


class RunInfo(BaseModel):
    """A finished run and its validation accuracy, 0 to 1."""

    name: str
    accuracy: float | None


class RunList(BaseModel):
    """The finished runs, best first."""

    runs: list[RunInfo]
    default: str = Field(description="the run that is used unless another is requested")
    plane: bool = Field(description="whether GET /api/plane returns points")


class DigitBox(BaseModel):
    """One of several digits of a picture."""

    digit: int
    confidence: float
    box: tuple[int, ...]


class ClassifyResponse(BaseModel):
    """The prediction for a picture; boxes are left, top, right, bottom in its pixels."""

    run: str
    digit: int | None = Field(description="0 to 9; null if no digit was found")
    confidence: float | None = Field(description="the probability of the digit, 0 to 1")
    runner_up: int | None = Field(description="the second most probable digit")
    note: str = Field(description="empty, or a warning about the picture")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    image: list[int] = Field(description="the 28 × 28 input of the network by rows; 255 is ink")
    plane: tuple[float, float] | None = Field(description="its position among /api/plane")
    not_a_digit: bool = Field(description="whether it does not look like a digit")
    mirrored: bool = Field(description="whether it does not, but its mirror image does")
    box: tuple[int, ...] | None = Field(description="of the digit")
    digits: list[DigitBox] = Field(description="in reading order, if there are several")
    lines: list[str] = Field(description="the digits of each line, if there are several")
    sheet_note: str = Field(description="empty, or what was left out of digits")


class Step(BaseModel):
    """A picture after one step of its preparation, or what a layer made of it, as a data URL."""

    name: str
    image: str


class StepList(BaseModel):
    """The steps of the preparation of a picture, or the first layers of a network."""

    steps: list[Step]


class OcclusionMap(BaseModel):
    """How the probability of the predicted digit changes while a small square is covered."""

    digit: int
    probability: float = Field(description="of the digit in the whole picture, 0 to 1")
    lowest: float = Field(description="of the digit with a square covered")
    drop: list[float] = Field(description="how much it falls at each of 28 × 28 pixels, by rows")
    image: list[int] = Field(description="the 28 × 28 input of the network by rows; 255 is ink")


class SavedDrawing(BaseModel):
    """A drawing that was saved with its true digit."""

    file: str = Field(description="the folder of drawings and the name in it")
    label: int
    undo: str = Field(
        description="a secret; DELETE /api/drawings?undo=SECRET removes the drawing again"
    )


class ErrorResponse(BaseModel):
    """An error in one line."""

    detail: str


RunQuery = Annotated[str | None, Query(description="a run's name; else the default")]
BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE_BODY = {
    "requestBody": {
        "description": f"The bytes of a PNG, JPEG or other picture, at most {MAX_UPLOAD_BYTES:,}.",
        "required": True,
        "content": {"image/*": BINARY, "application/octet-stream": BINARY},
    }
}
PICTURE_ERRORS = {
    400: "Not a picture.",
    403: "Sent by a page of another site, or to an unknown host name.",
    404: "No such run.",
    408: "Sent too slowly.",
    413: "Too large.",
    503: "Too many uploads at once.",
}
UNDO_ERRORS = {400: "Its line of labels.csv has been changed.", 404: "Unknown, or too long ago."}
T = TypeVar("T")


def _responses(errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's ``responses`` for the statuses of errors and when they occur."""
    return {code: {"model": ErrorResponse, "description": text} for code, text in errors.items()}


TAKES_PICTURE: dict[str, Any] = {
    "openapi_extra": PICTURE_BODY,
    "responses": _responses(PICTURE_ERRORS),
}


class ModelCache:
    """The embedding of one folder of runs, and its finished runs, loaded when first used."""

    def __init__(self, runs_dir: Path, run: str | None = None) -> None:
        """Load ``run``, or the best finished run, as the default; raise as ``load_predictor``."""
        self.runs_dir = runs_dir
        predictor = load_predictor(runs_dir, run)
        self.default_run, self.skipped = predictor.run_name, predictor.skipped
        self._predictors = {self.default_run: predictor}
        self._lock = Lock()
        self.is_warm = False
        self.embedding = load_embedding(runs_dir)

    def predictor(self, run: str | None = None) -> Predictor:
        """Return ``run``, by default the default run; raise as for that."""
        run = run or self.default_run
        if run not in self._predictors:
            with self._lock:  # two clients that choose the same run at once cause a single load
                if run not in self._predictors:
                    self._predictors[run] = load_predictor(self.runs_dir, run)
        return self._predictors[run]

    def warm_up(self) -> None:
        """Classify an image once, so that the first request is as fast as later ones."""
        self.is_warm = True
        image = np.zeros((28, 28), np.uint8)
        image[5:23, 12:16] = 255
        classify_prepared(self.predictor(), PreparedPicture(image))

    def find_embedding(self) -> Embedding | None:
        """Return the embedding; if it was missing, look for it again."""
        self.embedding = self.embedding or load_embedding(self.runs_dir)
        return self.embedding


class PictureQueue:
    """Receives the pictures of requests and prepares a few at a time, of large ones one."""

    def __init__(self) -> None:
        self.readers = ReaderPool()
        self._uploads = UploadLimiter()
        # More predictions at once than processors would only slow each other down.
        self._slots = asyncio.Semaphore(min(MAX_READERS, max(2, usable_cores())))
        self._large_slot = asyncio.Semaphore(1)

    async def process(
        self, request: Request, work: Callable[[bytes, PreparedPicture], T], **options: bool
    ) -> T:
        """Return ``work(body, picture)``; ``options`` are those of ``PictureReader.prepare``."""

        def prepare_and_work(body: bytes, max_pixels: int) -> T:
            with self.readers.reader() as reader:
                picture = reader.prepare(body, NAME, max_pixels, **options)
            return work(body, picture)

        async with self._uploads.body(request) as body:
            try:
                async with self._slots:
                    return await run_in_threadpool(prepare_and_work, body, LARGE_PICTURE)
            except TooManyPixelsError:
                async with self._large_slot, self._slots:
                    return await run_in_threadpool(prepare_and_work, body, MAX_PIXELS)


def create_app(
    runs_dir: Path,
    run: str | None = None,
    host: str = "127.0.0.1",
    allow_hosts: Sequence[str] = (),
    drawings_dir: Path = Path("drawings"),
) -> FastAPI:
    """Create the app and load its default run: ``run``, or the best finished run.

    ``host`` is the address at which the app will be served; it and ``allow_hosts`` are accepted as
    host names. Drawings whose true digit a visitor tells are saved in ``drawings_dir``. Raises the
    errors of ``load_predictor``.
    """
    pictures = PictureQueue()  # its first reader starts while the model is loaded
    cache = ModelCache(runs_dir, run)
    app = FastAPI(
        title="kaggle-digits",
        summary="Classifies handwritten digits with a run trained on this machine.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.state.run, app.state.skipped = cache.default_run, cache.skipped
    app.state.caveat = cache.predictor().caveat
    app.state.readers = pictures.readers
    app.add_middleware(SecurityMiddleware, host=host, allow_hosts=allow_hosts)
    app.mount("/page", StaticFiles(directory=PAGE))

    @app.exception_handler(DigitsError)
    async def handle_error(request: Request, error: DigitsError) -> JSONResponse:
        code = 400 if isinstance(error, DataError) else 500
        if isinstance(error, RunError | UsageError):
            code = 404
        return JSONResponse({"detail": " ".join(to_command_line(str(error)).split())}, code)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        # The visitor will draw next: load the model in the meantime.
        background = None if cache.is_warm else BackgroundTask(cache.warm_up)
        return FileResponse(PAGE / "index.html", background=background)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Report that the app is running, and the name of its default run."""
        return {"status": "ok", "run": cache.default_run}

    @app.get("/api/runs")
    def runs() -> RunList:
        """List the runs that can classify; includes those trained since the app started."""
        infos = []
        for each in finished_runs(runs_dir):
            with suppress(RunError):  # deleted or damaged in the meantime
                infos.append(RunInfo(name=each.name, accuracy=each.metrics()["val_accuracy"]))
        has_plane = cache.find_embedding() is not None
        return RunList(runs=infos, default=cache.default_run, plane=has_plane)

    @app.post("/api/classify", **TAKES_PICTURE)
    async def classify(request: Request, run: RunQuery = None) -> ClassifyResponse:
        """Classify a picture of a digit: dark on light or light on dark, of any size."""

        def work(_: bytes, picture: PreparedPicture) -> ClassifyResponse:
            return _classify(cache, cache.predictor(run), picture)

        return await pictures.process(request, work, with_sheet=True)

    @app.post("/api/steps", **TAKES_PICTURE)
    async def steps(request: Request) -> StepList:
        """Return a picture after each step of its preparation."""
        return await pictures.process(request, lambda _, picture: _steps(picture), with_steps=True)

    @app.post("/api/occlusion", **TAKES_PICTURE)
    async def occlusion(request: Request, run: RunQuery = None) -> OcclusionMap:
        """Return which parts of a picture the predicted digit depends on."""
        return await pictures.process(
            request, lambda _, picture: _occlude(cache.predictor(run), picture)
        )

    @app.post("/api/activations", **TAKES_PICTURE)
    async def activations(request: Request, run: RunQuery = None) -> StepList:
        """Return the outputs of a network's first layers for a picture."""

        def work(_: bytes, picture: PreparedPicture) -> StepList:
            layers = first_layers(open_run(runs_dir, run or cache.default_run), picture.image)
            return StepList(
                steps=[Step(name=name, image=_to_url(draw_layer(each))) for name, each in layers]
            )

        return await pictures.process(request, work)

    @app.get("/api/plane", responses=_responses({404: NO_EMBEDDING}))
    def plane() -> dict[str, list[tuple[float, float, int]]]:
        """Return ``points`` of the bottleneck study: x, y and label of evenly sampled digits."""
        embedding = cache.find_embedding()
        if embedding is None:
            raise HTTPException(404, NO_EMBEDDING)
        count = len(embedding.points)
        rows = np.linspace(0, count - 1, min(count, MAX_POINTS)).astype(int)
        positions = embedding.points[rows].astype(float).round(3)
        return {"points": np.column_stack([positions, embedding.labels[rows]]).tolist()}

    _add_saving(app, pictures, drawings_dir)
    return app


def _add_saving(app: FastAPI, pictures: PictureQueue, folder: Path) -> None:
    """Let visitors save drawings with their true digits in ``folder``, and undo that.

    Who saved a drawing gets a secret that removes it, so that nobody removes those of others.
    """
    app.state.saving_problem = find_write_problem(folder)
    undoable: dict[str, tuple[Path, int]] = {}  # secret → the picture and its label

    @app.get("/api/drawings")
    def saving() -> dict[str, str]:
        """Return the ``problem`` why drawings cannot be saved with their true digits, or ""."""
        return {"problem": find_write_problem(folder)}

    @app.post("/api/drawings", **TAKES_PICTURE)
    async def save(
        request: Request, label: Annotated[int, Query(ge=0, le=9, description="the true digit")]
    ) -> SavedDrawing:
        """Save a PNG with its true digit for ``kd classify --check`` and ``kd train --extra``."""
        # Only a picture that can be prepared is saved.
        path = await pictures.process(request, lambda body, _: save_drawing(folder, body, label))
        for old in [key for key, (saved, _) in undoable.items() if saved == path]:
            del undoable[old]  # of a drawing that somebody has deleted in the folder
        secret = secrets.token_urlsafe(16)
        undoable[secret] = path, label
        if len(undoable) > MAX_UNDOABLE:
            del undoable[next(iter(undoable))]
        return SavedDrawing(file=f"{folder.name}/{path.name}", label=label, undo=secret)

    @app.delete("/api/drawings", responses=_responses(UNDO_ERRORS))
    def remove(undo: str) -> dict[str, str]:
        """Remove a drawing that was saved, and its line of labels.csv; return its ``file``."""
        saved = undoable.get(undo)
        if saved is None:
            raise HTTPException(404, CANNOT_UNDO)
        path, label = saved
        remove_drawing(path, label)
        undoable.pop(undo, None)
        return {"file": f"{folder.name}/{path.name}"}


def _classify(
    cache: ModelCache, predictor: Predictor, picture: PreparedPicture
) -> ClassifyResponse:
    prediction, position = classify_prepared(predictor, picture), None
    if cache.embedding is not None and prediction.digit is not None:
        position = cache.embedding.transform(prediction.image)
    sheet = classify_sheet(predictor, picture.sheet) if picture.sheet else None
    if sheet and len(sheet.digits) < 2:
        sheet = None
    return ClassifyResponse(
        run=predictor.run_name,
        digit=prediction.digit,
        confidence=prediction.confidence,
        runner_up=prediction.runner_up,
        note=prediction.note,
        probabilities=prediction.probabilities.tolist(),
        image=prediction.image.ravel().tolist(),
        plane=position,
        not_a_digit=prediction.not_a_digit,
        mirrored=prediction.mirrored,
        box=prediction.box,
        digits=[DigitBox(**vars(each)) for each in sheet.digits] if sheet else [],
        lines=list(sheet.lines) if sheet else [],
        sheet_note=sheet.note if sheet else "",
    )


def _occlude(predictor: Predictor, picture: PreparedPicture) -> OcclusionMap:
    prediction = classify_prepared(predictor, picture)
    if prediction.digit is None or prediction.confidence is None:
        raise DataError(prediction.note)
    drop, lowest = probability_drop(predictor.predict_proba, prediction.image, prediction.digit)
    return OcclusionMap(
        digit=prediction.digit,
        probability=prediction.confidence,
        lowest=lowest,
        drop=drop.ravel().tolist(),
        image=prediction.image.ravel().tolist(),
    )


def _steps(picture: PreparedPicture) -> StepList:
    steps = []
    for name, values in picture.steps.items():
        ink = np.rint(255 * values).astype(np.uint8)
        steps.append(Step(name=name, image=_to_url(ink if name == "picture" else 255 - ink)))
    return StepList(steps=steps)


def _to_url(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
