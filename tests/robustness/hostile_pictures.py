"""Decompression bombs, animated and truncated pictures: refused with little time and memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.robustness.report import Row

PART = "files"
MOST_SECONDS, MOST_MB = 10.0, 1200
KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "JPEG2000")
# Reads pictures in a process with limited memory and prints the result and the seconds.
READ = """
import re, resource, sys, time
from pathlib import Path
from kaggle_digits.imaging.loading import open_picture, prepare
from kaggle_digits.core.errors import DataError
limit = int(sys.argv[1]) << 20
from PIL import Image
import scipy.ndimage
open_picture(Path(sys.argv[2]), "warm-up")
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
for name in sys.argv[3:]:
    begun = time.monotonic()
    try:
        said = str(prepare(open_picture(Path(name), "x")).image.shape)
    except DataError as error:
        said = "refused: " + str(error)
    except BaseException as error:
        said = f"BAD: {type(error).__name__}: {error}"
    said = " ".join(said.split())
    # What getrusage says is not less than the process that started this one had.
    peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
    mb = int(peak[1]) >> 10 if peak else 0
    print(f"{time.monotonic() - begun:.2f}\\t{mb}\\t{said}", flush=True)
"""


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per kind of picture."""
    rng = random.Random(seed)
    times = 4 if quick else 40
    yield read(work, "decompression bombs", list(bombs()))
    yield read(work, "animated or with several pages", list(moving(quick)), refused=True)
    yield read(work, "no pictures", list(no_pictures()), refused=True)
    sound = list(one_of_each_kind())
    cut = [content[: rng.randrange(len(content))] for content in sound for _ in range(times)]
    yield read(work, "cut short", cut)
    yield read(work, "bytes changed", [_changed(c, rng) for c in sound for _ in range(times)])


def read(work: Path, what: str, pictures: list[bytes], *, refused: bool = False) -> Row:
    """Read each picture: it is refused or becomes 28 × 28, within 10 s and MOST_MB."""
    folder = work / what.replace(" ", "-").replace(":", "")
    folder.mkdir()
    from PIL import Image

    Image.new("L", (30, 30), 255).save(folder / "good.png")
    paths = [folder / f"{number}.png" for number in range(len(pictures))]
    for path, content in zip(paths, pictures, strict=True):
        path.write_bytes(content)
    begun = time.monotonic()
    command = [sys.executable, "-c", READ, str(MOST_MB), str(folder / "good.png"), *map(str, paths)]
    limit = MOST_SECONDS * len(pictures) + 60
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    bad = [f"exit code {done.returncode}: {done.stderr[-300:]}"] if done.returncode else []
    bad += [f"{len(pictures) - len(lines)} not read"] if len(lines) < len(pictures) else []
    slowest, most, taken = 0.0, 0, 0
    for seconds, mb, said in lines:
        slowest, most = max(slowest, float(seconds)), max(most, int(mb))
        was_read = said == "(28, 28)"
        taken += was_read
        if said.startswith("BAD") or float(seconds) > MOST_SECONDS or (refused and was_read):
            bad.append(f"{said} in {seconds} s")
    if done.stderr.strip() and not done.returncode:
        bad.append(f"printed to stderr: {done.stderr[:200]}")
    told = f"{taken} read, {len(lines) - taken} refused, slowest {slowest:.1f} s, at most {most} MB"
    told += f", {time.monotonic() - begun:.0f} s in all"
    if bad:
        told += f"; {bad[0]}"[:300].replace("\n", " ")
    return Row(PART, f"pictures {what}", len(pictures), len(bad), told)


def digit() -> np.ndarray:
    """Return a picture of a stroke on paper."""
    values = np.full((40, 40), 255, np.uint8)
    values[8:32, 18:23] = 0
    return values


def one_of_each_kind() -> Iterator[bytes]:
    """Return a valid file of every supported format."""
    from PIL import Image

    for kind in KINDS:
        out = io.BytesIO()
        Image.fromarray(digit()).convert("RGB").save(out, kind)
        yield out.getvalue()


def png(width: int, height: int, body: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a grey PNG with one bit per pixel and extra chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    made = b"\x89PNG\r\n\x1a\n"
    for kind, content in parts:
        made += struct.pack(">I", len(content)) + kind + content
        made += struct.pack(">I", zlib.crc32(kind + content))
    return made


def bombs() -> Iterator[bytes]:
    """Return pictures whose width, height or text would exhaust memory."""
    from PIL import Image

    for side in (8_000, 13_000, 30_000, 65_535, 2**31 - 1):
        rows = min(side, 30_000)
        yield png(
            side, side, zlib.compress(bytes(((side + 7) // 8 + 1) * rows if side < 31e3 else 9))
        )
    text = zlib.compress(bytes(200 << 20))
    yield png(8, 8, zlib.compress(bytes(16)), (b"zTXt", b"a\0\0" + text))
    yield png(8, 8, zlib.compress(bytes(16)), (b"iCCP", b"a\0\0" + text))
    yield png(8, 8, text)
    yield png(2**24, 4, zlib.compress(bytes(2**21 * 4 + 4)))
    yield (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0)
        + bytes(6)
        + (b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02D\x01\0;")
    )
    for width, height in ((30_000, 30_000), (2**31 - 1, 1), (-5, 5), (8_000, -8_000)):
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        yield b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head
    yield b"P5 60000 60000 255 " + bytes(100)
    yield b"P5 8000 8000 65535 " + bytes(2 * 8000 * 8000)
    yield b"P6 99999999999999999999 1 255 "
    out = io.BytesIO()
    Image.new("L", (10_000, 10_000), 255).save(out, "JPEG", quality=1)
    yield out.getvalue()
    out = io.BytesIO()
    Image.new("L", (6_000, 10_000), 255).save(out, "JPEG", quality=1, progressive=True)
    yield out.getvalue()
    for kind in ("TIFF", "WEBP"):
        out = io.BytesIO()
        options = {"compression": "tiff_deflate"} if kind == "TIFF" else {"lossless": True}
        Image.new("RGB", (9_000, 9_000) if kind == "TIFF" else (8_000, 8_000)).save(
            out, kind, **options
        )
        yield out.getvalue()
    out = io.BytesIO()  # the largest permitted
    Image.new("RGB", (7_000, 7_000)).save(out, "TIFF", compression="tiff_deflate")
    yield out.getvalue()
    out = io.BytesIO()
    Image.new("F", (3_500, 3_500)).save(out, "TIFF", compression="tiff_deflate")
    yield out.getvalue()


def endless() -> Iterator[bytes]:
    """Return small files that keep a decoder busy for minutes."""
    from PIL import Image

    # A progressive JPEG whose last scan is repeated.
    for size in ((4_000, 1_000), (6_000, 7_000)):
        out = io.BytesIO()
        Image.new("L", size, 255).save(out, "JPEG", quality=1, progressive=True)
        start = out.getvalue().rindex(b"\xff\xda")
        scan = out.getvalue()[start:-2]
        yield out.getvalue()[:start] + scan * 20_000 + b"\xff\xd9"
    # Millions of empty comments.
    out = io.BytesIO()
    Image.new("L", (40, 40), 255).save(out, "JPEG")
    yield out.getvalue()[:2] + b"\xff\xfe\x00\x02" * 6_000_000 + out.getvalue()[2:]


def moving(quick: bool) -> Iterator[bytes]:
    """Return GIF, PNG, WebP and TIFF files with several frames or pages."""
    from PIL import Image

    number = 30 if quick else 3_000
    frames = [Image.fromarray(np.roll(digit(), k, axis=1)) for k in range(10)]
    for kind, count in (("GIF", number), ("PNG", 20), ("WEBP", 20), ("TIFF", 20), ("GIF", 2)):
        out = io.BytesIO()
        more = [frames[k % 10] for k in range(1, count)]
        frames[0].save(out, kind, save_all=True, append_images=more)
        yield out.getvalue()


def no_pictures() -> Iterator[bytes]:
    """Return other files with the name of a picture."""
    yield from (b"", b"\0" * 5000, b"<html><script>alert(1)</script></html>", b"P9 1 1 1 ")
    yield b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) run\nshowpage\n"
    yield b"%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(x)>>>>endobj\n"
    yield b"push graphic-context\nviewbox 0 0 1 1\nimage over 0,0 0,0 'https://x/$(id)'\n"
    yield b"\x1f\x8b\x08" + bytes(50)
    yield b"PK\x03\x04" + bytes(50)
    yield b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = { 0xff };\n"
    yield b"\x7fELF" + bytes(500)


def _changed(sound: bytes, rng: random.Random) -> bytes:
    changed = bytearray(sound)
    for _ in range(rng.choice([1, 2, 8, 40])):
        # The header determines how the rest is read.
        reach = rng.choice([64, len(sound)])
        changed[rng.randrange(min(reach, len(sound)))] = rng.randrange(256)
    return bytes(changed)
