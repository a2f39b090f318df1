"""Malicious archives: no file is written outside the folder, none is extracted in part."""

from __future__ import annotations

import random
from pathlib import Path

from tests.robustness.hostile_archives import (
    NAMES,
    ODD_NAMES,
    _changed,
    _links,
    _packed,
    _ways,
    came_back,
    fetched,
    small_files,
)


def test_kd_fetch(tmp_path: Path) -> None:
    rng, good = random.Random(1), small_files(tmp_path)
    sound = _packed(good)
    rows = [
        fetched(tmp_path, "out", [_packed({**good, n: b"x"}) for n in NAMES], refused=True),
        fetched(tmp_path, "odd", [_packed({**good, n: b"x"}) for n in ODD_NAMES]),
        fetched(tmp_path, "links", list(_links(good)), refused=True),
        fetched(tmp_path, "ways", list(_ways(good))),
        fetched(tmp_path, "cut", [sound[: rng.randrange(len(sound))] for _ in range(10)]),
        fetched(tmp_path, "changed", [_changed(sound, rng) for _ in range(20)]),
        fetched(tmp_path, "sound", [sound]),
    ]
    assert [row.bad for row in rows] == [0] * len(rows), rows
    assert rows[-1].measured.startswith("1 taken")


def test_kd_remote_pull(tmp_path: Path) -> None:
    row = came_back(tmp_path, random.Random(1), 10)
    assert not row.bad, row
