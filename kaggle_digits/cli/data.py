"""kd fetch, kd inspect."""

from __future__ import annotations


def fetch() -> None:
    """Put train.csv, test.csv and sample_submission.csv into data/, verified."""
