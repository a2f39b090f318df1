"""Coverage-guided fuzzing of the readers of untrusted files with atheris (libFuzzer).

Each target runs in a process of its own with limited time and memory. A crash, ten seconds without
progress and 2 GB of memory count as bad.
"""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.robustness.report import Row

PART = "fuzz"
SECONDS = {"csv": 60, "picture": 90, "archive": 45}
WHAT = {
    "csv": "any bytes as a CSV file, compared with the slow reader",
    "picture": "any bytes as a picture for kd classify",
    "archive": "any bytes as an archive for kd fetch",
}
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1")
# Tokens of the file formats, for the fuzzer's dictionary.
WORDS = {
    "csv": ["label,p0,p1", "255", "256", '\\"', "\\x0d\\x0a", "\\xef\\xbb\\xbf", "0x1F", "1e2"],
    "picture": ["GIF89a", "BM", "P5", "P6", "P7", "II*\\x00", "MM\\x00*", "IHDR", "IDAT", "Exif"],
    "archive": ["PK\\x03\\x04", "PK\\x01\\x02", "PK\\x05\\x06", "../", "train.csv", "train.csv.gz"],
}


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per target, or one that explains that atheris is missing."""
    if importlib.util.find_spec("atheris") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        why = f"skipped: atheris is not installed (it has no wheel for Python {version} on every "
        yield Row(PART, "any bytes for the readers", 0, 0, f"{why}machine): pip install atheris")
        return
    running = [
        (name, work / name, start(name, work / name, seed, SECONDS[name] // (10 if quick else 1)))
        for name in SECONDS
    ]
    for name, folder, process in running:
        yield finish(name, folder, process)


def start(name: str, folder: Path, seed: int, seconds: int) -> subprocess.Popen[str]:
    """Start the fuzzer with a corpus of a few valid files."""
    (folder / "corpus").mkdir(parents=True)
    (folder / "place").mkdir()
    for number, content in enumerate(SOUND[name]()):
        (folder / "corpus" / str(number)).write_bytes(content)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in WORDS[name]))
    command = [sys.executable, "-m", "tests.robustness.fuzz_target", name, str(folder / "place")]
    options = [f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-dict={folder / 'words'}"]
    options += [*LIMITS, f"-artifact_prefix={folder}/bad-", str(folder / "corpus")]
    with (folder / "log").open("w") as log:
        return subprocess.Popen([*command, *options], stdout=log, stderr=log, text=True)


def finish(name: str, folder: Path, process: subprocess.Popen[str]) -> Row:
    """Return the row of a finished fuzzer."""
    try:
        code = process.wait(SECONDS[name] + 120)
    except subprocess.TimeoutExpired:
        process.kill()
        code = -9
    log = (folder / "log").read_text(errors="replace")
    tries = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log)
    edges = re.findall(r"cov: (\d+) ft: (\d+)", log)
    memory = re.findall(r"stat::peak_rss_mb:\s*(\d+)", log)
    crashes = len(list(folder.glob("bad-*")))
    figures = [f"{edges[-1][0]} edges, {edges[-1][1]} features"] if edges else []
    figures += [f"at most {memory[-1]} MB"] if memory else []
    if code or crashes:
        _, _, raised = log.partition("Uncaught Python exception")
        figures.append(f"exit code {code}: {' '.join(raised.split())[-700:]}")
    times = int(tries[-1]) if tries else 0
    bad = max(crashes, int(bool(code)), int(not times))
    return Row(PART, WHAT[name], times, bad, "; ".join(figures))


def _csvs() -> list[bytes]:
    good = b"label,p0,p1\n1,0,255\n9,7,8\n"
    return [good, good.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + good, good[:-1], b'"label"']


def _pictures() -> list[bytes]:
    from PIL import Image

    values = np.zeros((20, 20), np.uint8)
    values[4:16, 9:12] = 255
    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "JPEG2000"):
        for mode in ("L", "RGB", "P", "1"):
            out = io.BytesIO()
            try:
                Image.fromarray(values).convert(mode).save(out, kind)
            except (OSError, ValueError, KeyError):  # this format has no such mode
                continue
            found.append(out.getvalue())
    return found


def _archives() -> list[bytes]:
    found = []
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", way) as archive:
            for name in ("train.csv", "test.csv", "sample_submission.csv"):
                archive.writestr(name, "1\n")
        found.append(out.getvalue())
    return found


SOUND = {"csv": _csvs, "picture": _pictures, "archive": _archives}
