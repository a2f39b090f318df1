"""A folder of pictures with their true digits in labels.csv, as ``kd app`` saves drawings.

labels.csv has the columns ``file``, a path in the folder, and ``label``, 0 to 9; it may have more.
"""

import csv
import io
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from kaggle_digits.core.atomic_io import atomic_write, describe_os_error, file_lock, wrap_os_errors
from kaggle_digits.core.errors import DataError, StorageError
from kaggle_digits.data.csv_reader import find_delimiter, quote_cell, read_cells, read_content
from kaggle_digits.data.digits import CLASSES

COLUMNS = ["file", "label"]
LABELS_FILE, LOCK_FILE, LOCK_SECONDS = "labels.csv", ".labels.lock", 10.0
FORM = "it needs the header file,label and lines such as 0001.png,7"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Everybody who may use the app may save: the disk must not fill.
MAX_DRAWINGS, MAX_DRAWING_BYTES = 5000, 3_000_000


def read_labels(folder: Path) -> list[tuple[Path, int]]:
    """Read labels.csv: the path of each picture, and its true digit, in the order of the lines.

    Raises DataError, which names the line, if it is missing or has another form, names a picture
    twice or one that is not in the folder, or lists none.
    """
    path = folder / LABELS_FILE
    if not path.exists():
        raise DataError(f"{folder} has no {LABELS_FILE} with the true digits; {FORM}")
    pictures: dict[Path, int] = {}
    for where, (file, label) in read_cells(path, COLUMNS, FORM):
        picture = folder / file
        if label not in map(str, range(CLASSES)):
            raise DataError(f"{where}: the label is {quote_cell(label)}, not a digit; {FORM}")
        is_inside = not Path(file).is_absolute() and ".." not in Path(file).parts
        if not is_inside or not picture.is_file():
            raise DataError(f"{where}: there is no picture {quote_cell(file)} in {folder}")
        if picture in pictures:
            raise DataError(f"{where}: {file} is listed twice; remove one of the lines")
        pictures[picture] = int(label)
    if not pictures:
        raise DataError(f"{path} lists no picture; {FORM}")
    return [*pictures.items()]


def save_drawing(folder: Path, png: bytes, label: int) -> Path:
    """Save a PNG under the next free number, add it to labels.csv, and return its path.

    Other processes may do the same at once. No file is replaced but labels.csv, which keeps all its
    lines. Raises DataError if it is not a PNG or too large, if labels.csv cannot be read, or if
    there are too many drawings; StorageError if the folder cannot be written.
    """
    if not png.startswith(PNG_SIGNATURE) or len(png) > MAX_DRAWING_BYTES:
        raise DataError(f"a drawing is a PNG of at most {MAX_DRAWING_BYTES // 1_000_000} MB")
    path = folder / LABELS_FILE
    with _lock(folder):
        content, stems = b"file,label\n", {existing.stem for existing in folder.iterdir()}
        if path.exists():
            content = read_content(path, advice=FORM)
            stems |= {Path(file).stem for _, (file, _) in read_cells(path, COLUMNS, FORM)}
        if len(stems) > MAX_DRAWINGS:
            raise DataError(f"{folder} has {MAX_DRAWINGS:,} drawings; move it away to save more")
        number = max((int(stem) for stem in stems if stem.isdecimal()), default=0) + 1
        picture = folder / f"{number:04}.png"
        with atomic_write(picture) as part:
            part.write_bytes(png)
        # After the picture: a killed process leaves no line without a picture.
        with atomic_write(path) as part:
            missing_end = b"" if content.endswith(b"\n") else _line_end(content).encode()
            part.write_bytes(content + missing_end + _format_line(content, picture, label))
    return picture


def remove_drawing(picture: Path, label: int) -> None:
    """Remove a picture that ``save_drawing`` saved, and its line of labels.csv, the last such.

    Raises DataError if the line is no longer there, StorageError if the folder cannot be written.
    """
    path = picture.parent / LABELS_FILE
    with _lock(picture.parent):
        content = read_content(path, advice=FORM)
        line = _format_line(content, picture, label)
        before, found, after = content.rpartition(b"\n" + line)
        if not found:
            raise DataError(f"{path} has been changed: its line of {picture.name} is not as saved")
        # Before the picture: a killed process leaves no line without a picture.
        with atomic_write(path) as part:
            part.write_bytes(before + b"\n" + after)
        with wrap_os_errors(picture):
            picture.unlink(missing_ok=True)


def _lock(folder: Path) -> AbstractContextManager[None]:
    busy = StorageError(f"another program is writing to {folder}; try again")
    return file_lock(folder / LOCK_FILE, busy, timeout=LOCK_SECONDS)


def _format_line(content: bytes, picture: Path, label: int) -> bytes:
    """Return the line of a picture for a CSV file, in the form of its other lines."""
    text, line = content.decode("utf-8-sig", "replace"), io.StringIO()
    delimiter, end = find_delimiter(text), _line_end(content)
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    writer = csv.DictWriter(line, header, restval="", delimiter=delimiter, lineterminator=end)
    writer.writerow({"file": picture.name, "label": label})
    return line.getvalue().encode()


def _line_end(content: bytes) -> str:
    return "\r\n" if b"\r\n" in content else "\n"


def find_write_problem(folder: Path) -> str:
    """Return why no drawing can be saved in ``folder``, which may not exist yet; "" if it can."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with wrap_os_errors(folder), tempfile.TemporaryFile(dir=existing):
            return ""
    except StorageError as error:
        return str(error)
    except OSError as error:
        return describe_os_error(error)
