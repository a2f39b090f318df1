"""Words of messages, and the names of nested settings."""

from collections.abc import Mapping
from typing import Any


def plural(count: int, noun: str) -> str:
    """Return "1 epoch" or "2 epochs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def with_article(digit: int) -> str:
    """Return "a 7" or "an 8"."""
    return f"{'an' if digit == 8 else 'a'} {digit}"


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted keys, such as ``split.folds``."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, dict)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def round_seconds(seconds: float) -> str:
    """Return "7.5", "35" or "1,260"."""
    return f"{seconds:,.{0 if seconds >= 9.95 else 1}f}"


def file_size(n_bytes: int) -> str:
    """Return "3.2 kB", or "1.4 MB" from 100,000 bytes on."""
    return f"{n_bytes / 1e3:.1f} kB" if n_bytes < 100_000 else f"{n_bytes / 1e6:.1f} MB"


def describe_setting(value: Any) -> str:
    """Return a setting as text: mappings as "a 1, b 2", lists as "128-64", empty for None."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {describe_setting(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, (list, tuple)):
        return "-".join(describe_setting(item) for item in value)
    return "" if value is None else str(value)
