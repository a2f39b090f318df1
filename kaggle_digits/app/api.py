"""The web app: one page, and the few addresses that it asks. No TensorFlow."""

from __future__ import annotations

import asyncio
import mimetypes
import os
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from kaggle_digits._version import __version__
from kaggle_digits.app.middleware import Guard
from kaggle_digits.app.model_cache import Shelf, thinned
from kaggle_digits.app.uploads import MOST_BYTES, Intake
from kaggle_digits.core.errors import DataError, DigitsError, RunError, UsageError
from kaggle_digits.imaging.loading import open_picture

PAGE = Path(__file__).parent / "page"
WIDE_PIXELS = 4_000_000
NO_PLANE = "there is no plane yet; make one: kd study bottleneck"
# Some Windows machines call scripts plain text, and browsers then refuse to run them.
mimetypes.add_type("text/javascript", ".js")


class Health(BaseModel):
    """That the app answers, and by which run unless another is asked for."""

    status: str
    run: str


class KnownRun(BaseModel):
    """A finished run; its accuracy on held-out rows, 0 to 1."""

    name: str
    accuracy: float | None


class KnownRuns(BaseModel):
    """The finished runs, best first; which one reads by default; whether there is a plane."""

    runs: list[KnownRun]
    default: str
    plane: bool


class Reading(BaseModel):
    """What a run reads in a picture."""

    run: str
    digit: int | None = Field(description="0 to 9; null where no digit was found")
    confidence: float | None = Field(description="the digit's probability, 0 to 1")
    runner_up: int | None = Field(description="the second most probable digit")
    note: str = Field(description="empty, or what makes the answer doubtful")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    image: list[int] = Field(description="the 28 × 28 image read, row by row; 255 is full ink")
    plane: tuple[float, float] | None = Field(description="where it stands in /api/plane")


class PlanePoints(BaseModel):
    """Held-out digits as points: x, y, label."""

    points: list[tuple[float, float, int]]


class Trouble(BaseModel):
    """What was wrong, in one line."""

    detail: str


def _refusals(**codes: str) -> dict[int | str, dict[str, Any]]:
    return {int(code[1:]): {"model": Trouble, "description": text} for code, text in codes.items()}


BINARY = {
    "requestBody": {
        "description": f"The picture's bytes, at most {MOST_BYTES:,}: PNG, JPEG, … as they are.",
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/*", "application/octet-stream")
        },
    }
}
CLASSIFY_REFUSALS = _refusals(
    _400="Not a picture.",
    _403="Sent by another site's page, or to another site's name.",
    _404="No such run.",
    _408="Sent too slowly.",
    _413="More bytes than are read.",
    _503="Too many at once.",
)


def create_app(runs_dir: Path, run: str | None = None, host: str = "127.0.0.1") -> FastAPI:
    """The app, with the run called ``run`` or the best one already loaded.

    Args:
        runs_dir: where the runs are.
        run: which of them reads; the best one by default.
        host: where it is served; it answers to that name and to those of this machine.

    Raises:
        RunError: there is none, or it is not finished.
        UsageError: ``run`` cannot name a run.
        ModelError: its model is missing or damaged.
    """
    shelf = Shelf(runs_dir, run)
    # Readings that the processors cannot take wait in line rather than in each other's way.
    turns = asyncio.Semaphore(max(2, os.cpu_count() or 1))
    # Half a gigabyte each: one at a time.
    wide = asyncio.Semaphore(1)
    intake = Intake()
    app = FastAPI(
        title="kaggle-digits",
        summary="Reads handwritten digits with a run trained here.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.state.run = shelf.default
    app.add_middleware(Guard, host=host)
    app.mount("/page", StaticFiles(directory=PAGE))

    @app.exception_handler(DigitsError)
    async def explain(request: Request, error: DigitsError) -> JSONResponse:
        return JSONResponse({"detail": " ".join(str(error).split())}, _status(error))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        # Whoever opens the page draws next: what a first reading loads is there by then.
        return FileResponse(PAGE / "index.html", background=BackgroundTask(shelf.warm_up))

    @app.get("/healthz")
    async def healthz() -> Health:
        """Whether the app answers."""
        return Health(status="ok", run=shelf.default)

    @app.get("/api/runs")
    def runs() -> KnownRuns:
        """The runs that can be asked."""
        known = [KnownRun(name=one.name, accuracy=one.accuracy) for one in shelf.runs()]
        return KnownRuns(
            runs=known, default=shelf.default, plane=shelf.plane(again=True) is not None
        )

    @app.post("/api/classify", openapi_extra=BINARY, responses=CLASSIFY_REFUSALS)
    async def classify(
        request: Request,
        run: Annotated[str | None, Query(description="a run's name; else the default")] = None,
    ) -> Reading:
        """Read a picture of a digit: dark on light or light on dark, of any size."""
        async with intake.body(request) as body:
            is_wide = await run_in_threadpool(_is_wide, body)
            async with wide if is_wide else nullcontext(), turns:
                return await run_in_threadpool(_read, shelf, body, run)

    @app.get("/api/plane", responses=_refusals(_404="No bottleneck study stands in the runs."))
    def plane() -> PlanePoints:
        """Held-out digits in the two dimensions of the bottleneck study."""
        found = shelf.plane(again=True)
        if found is None:
            raise HTTPException(404, NO_PLANE)
        return PlanePoints(points=thinned(found))

    return app


def _is_wide(body: bytes) -> bool:
    """Whether a picture has many pixels, as far as its head says; nothing is unpacked."""
    try:
        with Image.open(BytesIO(body), formats=("PNG", "JPEG")) as picture:
            return picture.width * picture.height > WIDE_PIXELS
    except Exception:  # of another kind, or none: that is found out where it is read
        return True


def _read(shelf: Shelf, body: bytes, run: str | None) -> Reading:
    name, answer = shelf.read(open_picture(body, "the picture"), run)
    return Reading(
        run=name,
        digit=answer.digit,
        confidence=answer.confidence,
        runner_up=answer.runner_up,
        note=answer.note,
        probabilities=[float(share) for share in answer.probabilities],
        image=answer.image.ravel().tolist(),
        plane=shelf.place(answer),
    )


def _status(error: DigitsError) -> int:
    if isinstance(error, DataError):
        return 400
    return 404 if isinstance(error, RunError | UsageError) else 500
