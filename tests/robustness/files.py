"""Hostile files: archives, models, runs, text and pictures made by an attacker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.robustness import (
    hostile_archives,
    hostile_models,
    hostile_pictures,
    hostile_runs,
    hostile_words,
)
from tests.robustness.report import Row

# The models are the last, because a process in which TensorFlow has computed cannot be forked.
PARTS = (hostile_archives, hostile_runs, hostile_words, hostile_pictures, hostile_models)


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield the rows of every kind of hostile file."""
    for part in PARTS:
        folder = work / part.__name__.rpartition(".")[2]
        folder.mkdir()
        yield from part.torture(folder, seed, quick)
