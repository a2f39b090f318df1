"""Requests that the app must reject; also used by the robustness suite."""

from __future__ import annotations

import gzip
import random
from io import BytesIO

from tests.support.pictures import draw_digit

TRAVERSAL_PATHS = (
    *("/page/../api.py", "/page/%2e%2e/api.py", "/page/..%2fapi.py", "/page/%2e%2e%2fa"),
    *("/page/..%5capi.py", "/page/..\\api.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd"),
    *("/page/....//....//etc/passwd", "/page/%252e%252e/api.py", "/page/%c0%ae%c0%ae/api.py"),
    *("/page/app.js%00.png", "/page/%00", "/page/index.html/../../api.py", "/etc/passwd"),
    *("/../../../../etc/passwd", "//etc/passwd", "/page/..;/api.py", "/page/C:%5cWindows"),
    *("http://127.0.0.1/page/../api.py", "file:///etc/passwd", "/page/" + "a" * 5000),
    *("/page/../../../../../../../proc/self/environ", "/page/.%2e/__init__.py", "/page/~root"),
)
OWN_HOSTS = ("localhost", "localhost:1", "127.0.0.1", "LOCALHOST:8000", "[::1]", "localhost.")
FOREIGN_HOSTS = (
    *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80"),
    *("evil@localhost", "localhost@evil.example", "192.0.2.1", "", "localhost/evil", "localhost:x"),
    *("0x7f000001", "2130706433", "[::ffff:192.0.2.1]", "127.0.0.1, evil.example", "a localhost"),
)


def not_pictures(rng: random.Random) -> list[bytes]:
    """Return bodies that are not pictures."""
    return [
        b"",
        b"\0" * 1000,
        b"hello",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7\n%%EOF",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
        b"PK\x03\x04" + rng.randbytes(500),
        b"\x7fELF" + rng.randbytes(500),
        gzip.compress(bytes(10**6)),
        b'{"digit": 7}',
        b"cos\nsystem\n(S'id'\ntR.",  # a pickle
        rng.randbytes(100_000),
    ]


def animated_picture(kind: str) -> bytes:
    """Return three digits as one animated file of the format ``kind``."""
    out = BytesIO()
    first, *rest = (draw_digit(digit, 64) for digit in (1, 4, 7))
    first.save(out, kind, save_all=True, append_images=rest)
    return out.getvalue()
