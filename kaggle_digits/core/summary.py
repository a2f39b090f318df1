"""How an object shows itself: a few lines in a terminal, a table in a notebook."""

from html import escape


class Summary:
    """Base class of what is shown as its ``summary()``."""

    def summary(self) -> dict[str, str]:
        """Return label → text; the first is the kind of object and its name."""
        raise NotImplementedError

    def __repr__(self) -> str:
        (kind, name), *rows = self.summary().items()
        width = max(len(label) for label, _ in rows)
        return "\n".join(
            [f"{kind} {name}", *(f"  {label:{width}}  {text}" for label, text in rows)]
        )

    def _repr_html_(self) -> str:
        cells = (
            f'<tr><th style="text-align: left">{escape(label)}</th>'
            f'<td style="text-align: left">{escape(text)}</td></tr>'
            for label, text in self.summary().items()
        )
        return f"<table>{''.join(cells)}</table>"
