"""Single files of a run: valid values, or an error in a few words."""

import os
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.files import (
    HISTORY_COLUMNS,
    explain_damage,
    read_array,
    read_history,
    read_probabilities,
    write_probabilities,
)

PROBABILITIES = np.full((20, 10), 0.1, np.float32)
HISTORY = ",".join(HISTORY_COLUMNS) + "\n0,1,0.5,0.9,,,0.1,2.0\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A valid file of probabilities."""
    write_probabilities(tmp_path / "oof.npy", PROBABILITIES)
    return tmp_path / "oof.npy"


def test_probabilities_are_read_back_and_can_be_changed(path: Path) -> None:
    values = read_probabilities(path, 20)
    assert np.array_equal(values, PROBABILITIES)
    values[0] = 0
    assert np.array_equal(read_probabilities(path), PROBABILITIES)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_orders_and_versions_of_the_format_are_read(
    path: Path, order: str, version: tuple[int, int]
) -> None:
    values = np.array(np.random.default_rng(0).random((3, 4)), np.float32, order=order)  # type: ignore[call-overload]
    with path.open("wb") as file:
        np.lib.format.write_array(file, values, version)
    assert np.array_equal(read_array(path, np.floating, (None, 4)), values)


@pytest.mark.parametrize("cut", [0, 5, 60, 130, 500, 927])
def test_truncated_array_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"does not begin|its size"):
        read_probabilities(path)


def test_longer_array_and_another_number_of_rows_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"float32 \(20, 10\) instead of float32 \(21, 10\)"):
        read_probabilities(path, 21)
    with path.open("ab") as file:
        file.write(bytes(40))
    with pytest.raises(ValueError, match="its size"):
        read_probabilities(path)


def test_claimed_size_costs_no_memory(path: Path) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 10), }".ljust(117)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + b"\n")
    with pytest.raises(ValueError, match="its size"):
        read_probabilities(path)
    with path.open("r+b") as file:
        file.truncate(128 + 4 * 10**10)  # sparse
    with pytest.raises(ValueError, match="its size"):
        read_probabilities(path)


@pytest.mark.parametrize(
    "values",
    [
        PROBABILITIES.astype(np.float64),
        PROBABILITIES.astype(">f4"),
        PROBABILITIES[:, :9],
        PROBABILITIES.ravel(),
        np.array([[object()] * 10]),
        np.zeros((20, 10), np.float32),
        np.full((20, 10), np.nan, np.float32),
    ],
)
def test_other_arrays_are_refused(path: Path, values: np.ndarray) -> None:
    np.save(path, values, allow_pickle=True)
    with pytest.raises(ValueError, match=r"instead of float32|not probabilities"):
        read_probabilities(path)


@pytest.mark.skipif(os.name != "posix", reason="pipes and sockets are files on POSIX only")
def test_pipe_socket_folder_and_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.relpath(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    with listening:
        for name in ("pipe", "socket", "folder", "device"):
            for read in (read_probabilities, read_history):
                with pytest.raises(ValueError, match="instead of a file"):
                    read(tmp_path / name)


def test_history_is_read_with_nan_for_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    (row,) = read_history(path)
    assert (row["epoch"], row["loss"]) == (1, 0.5)
    assert np.isnan(row["val_loss"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "truncated"),
        (HISTORY[:-3], "truncated"),
        ("a,b\n1,2\n", "lacks columns"),
        (HISTORY + "0,2,0.5\n", "line 3 has too many or too few cells"),
        (HISTORY + "0,2,0.5,0.9,,,0.1,2.0,7\n", "line 3 has too many or too few cells"),
        (HISTORY.replace("0.5", "nan"), "line 2 holds NaN or infinity"),
        (HISTORY.replace("0.5", "1e999"), "line 2 holds NaN or infinity"),
        (HISTORY.replace("0.5", "many"), "could not convert"),
        ("\x00\n", ""),
        (HISTORY.replace("0.5", '"0.5'), ""),
    ],
)
def test_damaged_history_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(content)
    with (
        pytest.raises(RunError, match=rf"history\.csv is damaged \(.*{message}.*\); do this"),
        explain_damage(path, "do this"),
    ):
        read_history(path)


def test_damage_is_explained_in_one_line_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with (
        pytest.raises(RunError, match=r"a\.json is missing; do this"),
        explain_damage(path, "do this"),
    ):
        path.read_text()
    for error in (ValueError("two\nlines " + "x" * 1000), PermissionError(13, "Permission denied")):
        with pytest.raises(RunError) as raised, explain_damage(path, "do this", "the file"):
            raise error
        assert str(raised.value).startswith("the file is damaged (")
        assert len(str(raised.value)) < 250
        assert "\n" not in str(raised.value)
