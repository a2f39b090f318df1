"""The interface through which downloads report progress; only the command line shows it."""


class Progress:
    """A receiver of notes and of the progress of downloads; this base class discards them."""

    def note(self, text: str) -> None:
        """Receive a note of one line."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """Receive that ``done`` of ``total`` bytes of ``name`` arrived; None if unknown."""
