"""Words of messages."""

from __future__ import annotations

from kaggle_digits.core.text import plural


def test_plural() -> None:
    counts = (0, 1, 2, 1200)
    assert [plural(count, "extra picture") for count in counts] == [
        "0 extra pictures",
        "1 extra picture",
        "2 extra pictures",
        "1,200 extra pictures",
    ]
