"""Objects show themselves in a few lines, and as a table in a notebook."""

from kaggle_digits.core.summary import Summary


class Thing(Summary):
    def summary(self) -> dict[str, str]:
        return {"Thing": "<a>", "size": "3", "colour": "red & blue"}


def test_text_has_aligned_lines() -> None:
    assert repr(Thing()) == "Thing <a>\n  size    3\n  colour  red & blue"


def test_html_is_a_table_and_escaped() -> None:
    html = Thing()._repr_html_()
    assert html.startswith("<table><tr><th")
    assert "&lt;a&gt;" in html
    assert "red &amp; blue" in html
