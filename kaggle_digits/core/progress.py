"""How this package reports progress; only the command line shows it."""

from collections.abc import Callable

# Called before something that takes seconds, such as "loading TensorFlow"; the command line
# replaces it.
note: Callable[[str], object] = lambda text: None  # noqa: E731


class Progress:
    """A receiver of notes and of the progress of downloads; this base class discards them."""

    def note(self, text: str) -> None:
        """Receive a note of one line."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """Receive that ``done`` of ``total`` bytes of ``name`` arrived; None if unknown."""
