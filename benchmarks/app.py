"""How soon a picture is read: kd classify and kd app from cold, and with one and 50 clients.

    python -m benchmarks.app RUN --runs-dir runs

The peer of a cold start is importing TensorFlow alone, which both do without. Each start is a
process of its own, in turns; the digits are drawn by code.
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
from pathlib import Path

import httpx
import numpy as np

from tests.support.pictures import STROKES, draw_digit, encode

COLD_BAR, FIRST_BAR, P99_BAR = 1.0, 1.5, 0.05
CLIENTS, EACH, ALONE = 50, 10, 300
KD = [sys.executable, "-m", "kaggle_digits"]


def main() -> int:
    """Print a Markdown table; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    runs_dir = str(given.runs_dir.absolute())
    pictures = [encode(draw_digit(digit, 168)) for digit in STROKES]
    cold: list[float] = []
    peer: list[float] = []
    first: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "one.png").write_bytes(pictures[0])
        read = [*KD, "classify", "one.png", "--run", given.run, "--runs-dir", runs_dir]
        for turn in range(given.times + 1):
            seconds = [
                _process(read, folder),
                _process([sys.executable, "-c", "import tensorflow"], folder),
                _first_answer(given.run, runs_dir, pictures[0], folder),
            ]
            for kept, taken in zip((cold, peer, first), seconds, strict=True):
                if turn:  # the first brings files into memory
                    kept.append(taken)
        alone, crowd = _under_load(given.run, runs_dir, pictures, folder)
    print(f"| what | median of {given.times}, s | fastest–slowest | of TensorFlow's import |")
    print("| --- | --- | --- | --- |")
    for name, starts in (
        ("kd classify one.png, from cold", cold),
        ("kd app, from command to first answer", first),
        ("import tensorflow (peer)", peer),
    ):
        median = statistics.median(starts)
        share = median / statistics.median(peer)
        print(f"| {name} | {median:.2f} | {min(starts):.2f}–{max(starts):.2f} | {share:.2f} |")
    print("\n| POST /api/classify | p50, ms | p99, ms | a second |\n| --- | --- | --- | --- |")
    for clients, (each, wall) in ((1, alone), (CLIENTS, crowd)):
        p50, p99 = np.percentile(each, [50, 99]) * 1e3
        print(f"| {clients} at once | {p50:.0f} | {p99:.0f} | {len(each) / wall:.0f} |")
    held = (
        statistics.median(cold) < COLD_BAR
        and statistics.median(first) < FIRST_BAR
        and float(np.percentile(alone[0], 99)) < P99_BAR
    )
    print(f"\nunder {COLD_BAR} s, {FIRST_BAR} s and {1e3 * P99_BAR:.0f} ms: {held}")
    return 0 if held else 1


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KD_")}


def _process(command: list[str], folder: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True)
    return time.perf_counter() - began


def _serve(run: str, runs_dir: str, folder: str) -> tuple[subprocess.Popen[str], str]:
    """The app as a process, and its address."""
    command = [*KD, "app", "--port", "0", "--run", run, "--runs-dir", runs_dir]
    environment = {**_environment(), "PYTHONUNBUFFERED": "1"}
    app = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    line = app.stdout.readline()
    return app, next(word for word in line.split() if word.startswith("http"))


def _stop(app: subprocess.Popen[str]) -> None:
    app.send_signal(signal.SIGINT)
    app.wait(timeout=20)


def _first_answer(run: str, runs_dir: str, picture: bytes, folder: str) -> float:
    began = time.perf_counter()
    app, address = _serve(run, runs_dir, folder)
    try:
        httpx.post(f"{address}/api/classify", content=picture).raise_for_status()
        return time.perf_counter() - began
    finally:
        _stop(app)


def _under_load(
    run: str, runs_dir: str, pictures: list[bytes], folder: str
) -> tuple[tuple[list[float], float], tuple[list[float], float]]:
    """Seconds of each request, and of all together: one client, then many."""
    app, address = _serve(run, runs_dir, folder)

    def client(requests: int) -> list[float]:
        taken = []
        with httpx.Client(timeout=60) as http:
            for number in range(requests):
                picture = pictures[number % len(pictures)]
                began = time.perf_counter()
                http.post(f"{address}/api/classify", content=picture).raise_for_status()
                taken.append(time.perf_counter() - began)
        return taken

    try:
        client(20)
        began = time.perf_counter()
        alone = client(ALONE)
        between = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as many:
            crowd = [taken for each in many.map(client, [EACH] * CLIENTS) for taken in each]
        return (alone, between - began), (crowd, time.perf_counter() - between)
    finally:
        _stop(app)


if __name__ == "__main__":
    raise SystemExit(main())
