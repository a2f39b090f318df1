"""Latency of kd classify and kd app: cold start, then one client and fifty clients.

    python -m benchmarks.app RUN --runs-dir runs

A cold start is compared with the import of TensorFlow alone, which both commands avoid. Each start
is a process of its own, in alternating order.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image, ImageDraw

MAX_COLD_START, MAX_FIRST_RESPONSE, MAX_P99 = 1.0, 1.5, 0.05  # seconds
CLIENTS, REQUESTS_PER_CLIENT, REQUESTS_ALONE = 50, 10, 300
KD = [sys.executable, "-m", "kaggle_digits"]
SIDE = 168  # pixels, as the page sends them
# Strokes of the digits 1, 4 and 7, in pixels.
STROKES = (
    (((84, 46), (84, 122)),),
    (((97, 46), (59, 97), (114, 97)), ((97, 72), (97, 122))),
    (((55, 49), (113, 49), (76, 122)),),
)


def main() -> int:
    """Print two Markdown tables; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    runs_dir = str(arguments.runs_dir.absolute())
    pictures = [_draw(strokes) for strokes in STROKES]
    names = (
        "kd classify one.png, cold start",
        "kd app, from the command to the first response",
        "import tensorflow",
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "one.png").write_bytes(pictures[0])
        classify = [*KD, "classify", "one.png", "--run", arguments.run, "--runs-dir", runs_dir]
        timings = [
            [
                _time_process(classify, folder),
                _time_first_response(arguments.run, runs_dir, pictures[0], folder),
                _time_process([sys.executable, "-c", "import tensorflow"], folder),
            ]
            for _ in range(arguments.times + 1)
        ]
        alone, crowd = _measure_load(arguments.run, runs_dir, pictures, folder)
    starts = np.transpose(timings[1:])  # the first round only fills the file cache
    medians = [statistics.median(seconds) for seconds in starts]
    print(f"| start | median of {arguments.times}, s | fastest–slowest | relative to TensorFlow |")
    print("| --- | --- | --- | --- |")
    for name, median, seconds in zip(names, medians, starts, strict=True):
        spread = f"{min(seconds):.2f}–{max(seconds):.2f}"
        print(f"| {name} | {median:.2f} | {spread} | {median / medians[-1]:.2f} |")
    print("\n| clients of POST /api/classify | p50, ms | p99, ms | per second |")
    print("| --- | --- | --- | --- |")
    for clients, (seconds, wall) in ((1, alone), (CLIENTS, crowd)):
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        rate = len(seconds) / wall
        print(f"| {clients} | {p50:.0f} | {p99:.0f} | {rate:.0f} |")
    passed = (
        medians[0] < MAX_COLD_START
        and medians[1] < MAX_FIRST_RESPONSE
        and float(np.percentile(alone[0], 99)) < MAX_P99
    )
    limits = f"{MAX_COLD_START} s, {MAX_FIRST_RESPONSE} s and {1e3 * MAX_P99:.0f} ms"
    print(f"\nbelow {limits}: {passed}")
    return 0 if passed else 1


def _draw(strokes: tuple[tuple[tuple[int, int], ...], ...]) -> bytes:
    """Return a digit as a PNG."""
    picture = Image.new("L", (SIDE, SIDE), 255)
    for points in strokes:
        ImageDraw.Draw(picture).line(points, fill=0, width=8, joint="curve")
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KD_")}


def _time_process(command: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True)
    return time.perf_counter() - start


def start_app(run: str, runs_dir: str, folder: str) -> tuple[subprocess.Popen[str], str]:
    """Return the process of the app and its URL."""
    command = [*KD, "app", "--port", "0", "--run", run, "--runs-dir", runs_dir]
    environment = {**_environment(), "PYTHONUNBUFFERED": "1"}
    app = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    line = app.stdout.readline()
    return app, next(word for word in line.split() if word.startswith("http"))


def stop_app(app: subprocess.Popen[str]) -> None:
    """End the app as Ctrl-C does."""
    app.send_signal(signal.SIGINT)
    app.wait(timeout=20)


def _time_first_response(run: str, runs_dir: str, picture: bytes, folder: str) -> float:
    start = time.perf_counter()
    app, url = start_app(run, runs_dir, folder)
    try:
        httpx.post(f"{url}/api/classify", content=picture).raise_for_status()
        return time.perf_counter() - start
    finally:
        stop_app(app)


def _measure_load(
    run: str, runs_dir: str, pictures: list[bytes], folder: str
) -> tuple[tuple[list[float], float], tuple[list[float], float]]:
    """Return the seconds of each request and of all together, for one client and for many."""
    app, url = start_app(run, runs_dir, folder)

    def client(requests: int) -> list[float]:
        seconds = []
        with httpx.Client(timeout=60) as http:
            for number in range(requests):
                picture = pictures[number % len(pictures)]
                start = time.perf_counter()
                http.post(f"{url}/api/classify", content=picture).raise_for_status()
                seconds.append(time.perf_counter() - start)
        return seconds

    try:
        client(20)  # warm up
        start = time.perf_counter()
        alone = client(REQUESTS_ALONE)
        middle = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = pool.map(client, [REQUESTS_PER_CLIENT] * CLIENTS)
            crowd = [seconds for result in results for seconds in result]
        return (alone, middle - start), (crowd, time.perf_counter() - middle)
    finally:
        stop_app(app)


if __name__ == "__main__":
    raise SystemExit(main())
