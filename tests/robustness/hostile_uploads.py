"""Hostile uploads in place of a drawn digit."""

from __future__ import annotations

import os
import random
import struct
import zlib

from PIL import Image

from tests.robustness.hostile_pictures import endless
from tests.support.hostile_requests import animated_picture, not_pictures
from tests.support.pictures import draw_digit, encode

KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
MANY, FEW = 200, 20


def uploads(rng: random.Random, *, quick: bool) -> dict[str, list[bytes]]:
    """Return kind → bodies, each of which must be refused."""
    whole = {kind: encode(draw_digit(4, 200).convert("L"), kind) for kind in KINDS}
    return {
        "no picture": not_pictures(rng),
        "pictures cut off at a random byte": [
            _cut(rng, whole[rng.choice(("PNG", "JPEG", "GIF", "WEBP"))])
            for _ in range(FEW if quick else MANY)
        ],
        "animated": [animated_picture(kind) for kind in ("GIF", "WEBP", "PNG", "TIFF")],
        "decompression bombs": [*_bombs()],
        "endless decoding": [body for body in endless() if len(body) < 10_000_000],
        "more than 10 MB": [os.urandom(10_000_001), whole["PNG"] + bytes(20_000_000)],
    }


def _cut(rng: random.Random, whole: bytes) -> bytes:
    """Truncate to at most three quarters, because the end of a file may be padding."""
    return whole[: rng.randrange(len(whole) * 3 // 4)]


def _bombs() -> list[bytes]:
    flat = Image.new("1", (30_000, 30_000))
    progressive = Image.new("L", (60_000, 2_000))
    return [
        _png(2**31 - 1, 2**31 - 1),
        _png(50_000, 50_000, zlib.compress(bytes(50_000 * 200), 9)),
        encode(flat, "PNG"),
        encode(flat, "TIFF", compression="group4"),
        encode(flat, "GIF"),
        encode(progressive, "JPEG", progressive=True),
        # A text chunk that decompresses to a gigabyte.
        _png(28, 28, before=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8), 9))),
    ]


def _png(width: int, height: int, data: bytes = b"", before: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
