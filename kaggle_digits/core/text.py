"""Words of messages."""


def plural(count: int, noun: str) -> str:
    """Return "1 epoch" or "2 epochs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
