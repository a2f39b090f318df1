"""Commands work with closed, full and ASCII-only standard streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="as a POSIX shell has them")

KD = f"{sys.executable} -m kaggle_digits"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def shell(
    command: str, folder: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
    )


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_commands_work_with_closed_streams(streams: str, sample: Path, tmp_path: Path) -> None:
    done = shell(f"{KD} fetch --source {sample} {streams}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    files = sorted(path.name for path in (tmp_path / "data").glob("*.csv"))
    assert files == ["sample_submission.csv", "test.csv", "train.csv"]


def test_closed_descriptors_are_not_reused_for_files(tmp_path: Path, sample: Path) -> None:
    words = "train --model softmax --epochs 1 --rows 100 --name a"
    done = shell(f"{KD} {words} --data-dir {sample} >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "submissions" / "a.csv").read_bytes().startswith(b"ImageId,Label\r\n1,")
    assert (tmp_path / "runs" / "a" / ".lock").read_bytes() == b""


def test_full_disk_behind_stdout_is_an_error(tmp_path: Path) -> None:
    for words in ("recipes", "recipes --json"):
        done = shell(f"{KD} {words} > /dev/full", tmp_path)
        assert done.returncode == 1
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("error: the result cannot be written to standard output (No space")


@pytest.mark.parametrize("words", ["recipes", "fetch --source {}"])
def test_closed_pipe_does_not_stop_the_work(words: str, sample: Path, tmp_path: Path) -> None:
    done = shell(f"{KD} {words.format(sample)} 2>&1 | head -c 1", tmp_path)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert ("fetch" in words) == (tmp_path / "data" / "source.json").exists()


def test_ascii_locale(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "größer 数字"
    folder.mkdir()
    done = shell(f"{KD} fetch --source {sample}; {KD} inspect --json", folder, ASCII)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert json.loads(text[text.index("{") :])
    done = shell(f"{KD} inspect; {KD} --help; {KD} recipes", folder, ASCII)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("ascii")
