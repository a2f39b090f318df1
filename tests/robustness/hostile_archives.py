"""Hostile archives: for kd fetch --source, and as output of a Kaggle notebook."""

from __future__ import annotations

import io
import json
import random
import resource
import stat
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.errors import DataError, KaggleError
from kaggle_digits.data.dataset import FILES, load
from kaggle_digits.kaggle_notebooks.pull import read_manifest, unpack
from kaggle_digits.sources.fetch import fetch
from tests.robustness.report import Row

PART = "files"
NAMES = [
    *("../train.csv", "../../outside.txt", "/var/train.csv", "/etc/cron.d/x", "a/../../x"),
    *(
        "..\\train.csv",
        "a\\..\\..\\x",
        "C:\\train.csv",
        "C:train.csv",
        "\\\\host\\share\\train.csv",
    ),
    *("..", "../", "/", "~/train.csv", "./../x", "a/b/../../../x"),
]
ODD_NAMES = [
    *(
        "\x1b]0;pwned\x07train.csv",
        "train.csv\n",
        "tra\u202ein.csv",
        "train.csv\x9b31m",
        "TRAIN.CSV",
    ),
    *(
        "x" * 300,
        "x/" * 200 + "y",
        "CON",
        "aux.csv",
        ".",
        "a/",
        "train.csv/",
        "-rf",
        "*",
        "$(id)",
    ),
    *("train.csv/x", "<script>alert(1)</script>", "[bold]x[/bold]", "%2e%2e%2fx", ".bashrc"),
]
MOST_SECONDS, MOST_MB = 30.0, 300


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per kind of archive."""
    rng = random.Random(seed)
    good = small_files(work)
    outside = [_packed({**good, name: b"x"}) for name in NAMES]
    yield fetched(work, "names outside the folder", outside, refused=True)
    yield fetched(work, "hard names", [_packed({**good, n: b"x"}) for n in ODD_NAMES])
    yield fetched(work, "links and devices", list(_links(good)), refused=True)
    yield fetched(work, "decompression bombs", list(_bombs(good)), refused=True)
    yield fetched(work, "unusual formats", list(_ways(good)))
    sound = _packed(good)
    times = 20 if quick else 200
    yield fetched(work, "cut short", [sound[: rng.randrange(len(sound))] for _ in range(times)])
    yield fetched(work, "bytes changed", [_changed(sound, rng) for _ in range(times * 2)])
    yield came_back(work, rng, times)


def small_files(work: Path) -> dict[str, bytes]:
    """Return the three CSV files with the first rows of the sample."""
    fetch("sample", work / "sample")
    cut = {"train.csv": 21, "test.csv": 11, "sample_submission.csv": 11}
    lines = {name: (work / "sample" / name).read_bytes().splitlines(True) for name in FILES}
    return {name: b"".join(lines[name][: cut[name]]) for name in FILES}


def fetched(work: Path, what: str, archives: list[bytes], *, refused: bool = False) -> Row:
    """Fetch each archive: it is refused, or gives exactly the packed files and nothing else."""
    bad, taken, slowest, why = 0, 0, 0.0, ""
    before = _peak_mb()
    for number, content in enumerate(archives):
        place = work / "fetched" / what.replace(" ", "-") / str(number)
        place.mkdir(parents=True)
        (place / "x.zip").write_bytes(content)
        (place / "outside.txt").write_bytes(b"mine")
        begun = time.monotonic()
        try:
            fetch(str(place / "x.zip"), place / "data")
            load(place / "data")
            taken += 1
            fault = "it was taken" if refused else ""
        except DataError as error:
            fault = "" if str(error).isprintable() else f"not one line: {str(error)!r}"
            left = [name for name in FILES if (place / "data" / name).exists()]
            fault = fault or (f"{left} was left" if left else "")
        except Exception as error:  # counted below
            fault = f"{type(error).__name__}: {error}"
        slowest = max(slowest, time.monotonic() - begun)
        names = {path.name for path in place.iterdir()}
        if (
            names - {"data"} != {"x.zip", "outside.txt"}
            or (place / "outside.txt").read_bytes() != b"mine"
        ):
            fault = f"written outside: {names}"
        if slowest > MOST_SECONDS or _peak_mb() - before > MOST_MB:
            fault = fault or f"{slowest:.0f} s, {_peak_mb() - before} MB more"
        bad += bool(fault)
        why = why or (fault and f"; {content[30:80]!a}: {fault}"[:300])
    told = f"{taken} taken, {len(archives) - taken} refused, slowest {slowest:.1f} s{why}"
    return Row(PART, f"archive for kd fetch: {what}", len(archives), bad, told)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _packed(files: dict[str, bytes], way: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", way) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (mode | 0o777) << 16
    return entry


def _links(good: dict[str, bytes]) -> Iterator[bytes]:
    for name, target in (("train.csv", "/etc/passwd"), ("extra", "../.."), ("data", "/")):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for other, content in good.items():
                if other != name:
                    archive.writestr(other, content)
            archive.writestr(_entry(name, stat.S_IFLNK), target)
        yield out.getvalue()


def _bombs(good: dict[str, bytes]) -> Iterator[bytes]:
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in good.items():
            if name == "train.csv":
                with archive.open(name, "w") as out:
                    for _ in range(600):
                        out.write(bytes(1 << 20))
            else:
                archive.writestr(name, content)
    bomb = zeros.getvalue()
    yield bomb
    # The same, but every header claims a small size.
    yield bomb.replace(struct.pack("<I", 600 << 20), struct.pack("<I", 1000))
    inner = _packed({"train.csv.zip": _packed({"train.csv.zip": _packed(good)})})
    yield _packed({**{n: c for n, c in good.items() if n != "train.csv"}, "train.csv.zip": inner})


def _ways(good: dict[str, bytes]) -> Iterator[bytes]:
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield _packed(good, way)
    sound = _packed(good)
    for place in (6, 8):  # flags: encrypted; an unknown compression method
        changed = bytearray(sound)
        for mark, at in ((b"PK\x03\x04", place), (b"PK\x01\x02", place + 2)):
            start = 0
            while (start := changed.find(mark, start)) >= 0:
                changed[start + at] |= 0x61 if place == 8 else 0x1
                start += 4
        yield bytes(changed)
    # Broken end records: several disks, a directory before the start of the file.
    yield sound[:-22] + b"PK\x06\x07" + b"\x01" * 16 + sound[-22:]
    yield sound[:-6] + b"\xff\xff\xff\x7f" + sound[-2:]
    yield sound[:-10] + b"\xff\xff\xff\x7f" + sound[-6:]
    yield sound + sound
    yield b"#!/bin/sh\nexit 1\n" + sound
    yield _packed(
        {f"one/{n}": c for n, c in good.items()} | {f"two/{n}": c for n, c in good.items()}
    )
    yield _packed({**good, **{f"more/{k}": b"" for k in range(20_000)}})
    for part in ("test.csv", "sample_submission.csv"):
        yield _packed({**good, part: b"\x00" * 1000})


def _changed(sound: bytes, rng: random.Random) -> bytes:
    changed = bytearray(sound)
    for _ in range(rng.choice([1, 1, 2, 8])):
        # Change headers more often than contents, which have a checksum.
        tail = rng.random() < 0.7
        place = rng.randrange(len(sound) - 300, len(sound)) if tail else rng.randrange(len(sound))
        changed[place] = rng.randrange(256)
    return bytes(changed)


def came_back(work: Path, rng: random.Random, times: int) -> Row:
    """Pull each archive, with a manifest that matches its names, links and sizes."""
    bad, taken, why = 0, 0, ""
    sound = {"config.json": b"{}", "members/0/model.skops": b"x" * 999, "test.npy": b"y" * 999}
    cases: list[tuple[bytes, dict[str, bytes]]] = []
    for name in (*NAMES, *ODD_NAMES):
        if name and not name.endswith("/"):
            files = {**sound, name: b"x"}
            cases.append((_packed(files), files))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr(_entry("members", stat.S_IFLNK), "/tmp")
    cases.append((out.getvalue(), {"config.json": b"{}", "members": b"/tmp"}))
    cases.append((_packed({"a": bytes(50 << 20)}), {"a": b"small"}))
    whole = _packed(sound)
    cases += [(whole[: rng.randrange(len(whole))], sound) for _ in range(times)]
    cases += [(_changed(whole, rng), sound) for _ in range(times)]
    for number, (content, files) in enumerate(cases):
        place = work / "pulled" / str(number)
        (place / "in").mkdir(parents=True)
        archive_path = place / "x.zip"
        archive_path.write_bytes(content)
        fault = _unpacked(archive_path, files, place)
        taken += fault is None
        bad += bool(fault)
        why = why or (f"; {fault}"[:300] if fault else "")
    told = f"{taken} taken, {len(cases) - taken} refused{why}"
    return Row(PART, "archive for kd remote pull", len(cases), bad, told)


def _unpacked(archive: Path, files: dict[str, bytes], place: Path) -> str | None:
    """Return None if correctly accepted, "" if correctly refused, else what went wrong."""
    import hashlib

    packed = {"bytes": archive.stat().st_size, "sha256": sha256(archive)}
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    told: dict[str, object] = {
        "push_id": "p",
        "run": "r",
        "state": "finished",
        "reason": "",
        "log_tail": [],
    }
    told |= {"archive": packed, "files": listed, "data": {}, "members": 1, "members_done": 1}
    told |= {"toolkit": "", "gpus": [], "seconds": 1, "versions": {}}
    fault: str | None = ""
    try:
        unpack(archive, read_manifest(json.dumps(told)), place / "in")
        fault = None
        for name, content in files.items():
            if (place / "in" / name).read_bytes() != content:
                fault = f"{name!r} differs from the packed file"
    except KaggleError as error:
        fault = "" if str(error).isprintable() else f"not one line: {str(error)!r}"
    except Exception as error:  # counted below
        fault = f"{type(error).__name__}: {error}"
    if {path.name for path in place.iterdir()} != {"in", "x.zip"}:
        return "written outside"
    if any(path.is_symlink() for path in (place / "in").rglob("*")):
        return "a link was made"
    return fault
