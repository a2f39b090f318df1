"""A folder of pictures with their true digits in labels.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError, StorageError
from kaggle_digits.imaging import labelled_folder
from kaggle_digits.imaging.labelled_folder import (
    find_write_problem,
    read_labels,
    remove_drawing,
    save_drawing,
)

PNG = b"\x89PNG\r\n\x1a\n and the rest"


def test_drawings_are_added_and_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "drawings"
    first, second = save_drawing(folder, PNG, 7), save_drawing(folder, PNG + b"2", 0)
    assert read_labels(folder) == [(first, 7), (second, 0)]
    assert [first.name, second.name] == ["0001.png", "0002.png"]
    second.unlink()  # its line stays: another drawing must not get its name
    (folder / "0004.png").write_bytes(b"own")
    assert save_drawing(folder, PNG, 1).name == "0005.png"
    assert (folder / "0004.png").read_bytes() == b"own"
    assert first.read_bytes() == PNG


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
def test_the_form_of_a_spreadsheet_is_kept(tmp_path: Path, delimiter: bytes) -> None:
    path = tmp_path / "labels.csv"
    before = b'note,label,file\r\n"caf\xe9, dark",3,0009.png'.replace(b",", delimiter)
    path.write_bytes(before)
    (tmp_path / "0009.png").write_bytes(PNG)
    save_drawing(tmp_path, PNG, 5)
    assert path.read_bytes() == before + b"\r\n,5,0010.png\r\n".replace(b",", delimiter)
    assert [label for _, label in read_labels(tmp_path)] == [3, 5]


def test_a_saved_drawing_is_removed_with_its_line_only(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    before = 'note,label,file\r\n"caf\xe9,\r\n,7,0002.png",3,0001.png\r\n'.encode("latin-1")
    path.write_bytes(before)
    (tmp_path / "0001.png").write_bytes(PNG)
    second, third = save_drawing(tmp_path, PNG, 7), save_drawing(tmp_path, PNG, 7)
    remove_drawing(second, 7)
    assert path.read_bytes() == before + b",7,0003.png\r\n"
    assert not second.exists()
    assert third.exists()
    with pytest.raises(DataError, match=r"its line of 0003\.png is not as saved"):
        remove_drawing(third, 8)
    assert third.exists()
    remove_drawing(third, 7)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "has no labels.csv with the true digits; it needs the header file,label"),
        ("", "is empty"),
        ("name,digit\n1.png,7\n", "has no columns file and label"),
        ("file,label\n", "lists no picture"),
        ("file,label\n1.png,seven\n", "line 2: the label is 'seven', not a digit"),
        ("file,label\n1.png,7\n1.png,7\n", "line 3: 1.png is listed twice"),
        ("file,label\n1.png,7\n2.png,7\n", "line 3: there is no picture '2.png'"),
        ("file,label\n../1.png,7\n", "line 2: there is no picture '../1.png'"),
        ("file,label\n/etc/hosts,7\n", "line 2: there is no picture '/etc/hosts'"),
        ("file,label\n" + "x" * 200_000, "not CSV"),
    ],
)
def test_malformed_labels_are_named(tmp_path: Path, text: str | None, words: str) -> None:
    folder = tmp_path / "drawings"
    folder.mkdir()
    for place in (folder, tmp_path):
        (place / "1.png").write_bytes(PNG)
    if text is not None:
        (folder / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_labels(folder)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="PNG of at most 3 MB"):
        save_drawing(tmp_path, b"GIF89a", 7)
    monkeypatch.setattr(labelled_folder, "MAX_DRAWINGS", 3)
    with pytest.raises(DataError, match="move it away"):
        for _ in range(5):
            save_drawing(tmp_path, PNG, 7)
    assert len(read_labels(tmp_path)) <= 3


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert find_write_problem(tmp_path / "a" / "b") == ""
    (tmp_path / "file").touch()
    assert "in the way" in find_write_problem(tmp_path / "file" / "drawings")
    with pytest.raises(StorageError, match="in the way"):
        save_drawing(tmp_path / "file" / "drawings", PNG, 7)
