"""Words of messages."""

from __future__ import annotations

from kaggle_digits.core.text import describe_setting, file_size, plural, with_article


def test_plural() -> None:
    counts = (0, 1, 2, 1200)
    assert [plural(count, "extra picture") for count in counts] == [
        "0 extra pictures",
        "1 extra picture",
        "2 extra pictures",
        "1,200 extra pictures",
    ]


def test_article() -> None:
    assert [with_article(digit) for digit in (1, 8)] == ["a 1", "an 8"]


def test_file_size() -> None:
    assert [file_size(n) for n in (6_320, 99_999, 479_000)] == ["6.3 kB", "100.0 kB", "0.5 MB"]


def test_settings_as_text() -> None:
    assert describe_setting({"elastic_grid": 5, "shift": 2.5, "ema": None}) == (
        "elastic grid 5, shift 2.5"
    )
    assert describe_setting([128, 64]) == describe_setting((128, 64)) == "128-64"
    assert [describe_setting(value) for value in (None, 0.0, "unit")] == ["", "0.0", "unit"]
