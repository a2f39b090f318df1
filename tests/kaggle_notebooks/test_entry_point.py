"""The script for Kaggle: its text, and each thing it does there."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks import entry_point, script
from kaggle_digits.kaggle_notebooks.entry_point import (
    SessionError,
    ensure_packages,
    find_data,
    pack_run,
    run_with_time_limit,
    unpack,
)
from kaggle_digits.kaggle_notebooks.script import PACKAGE, JobSpec, make_script, pack_source
from tests.support.kernels import bare_python

ORDER = JobSpec("ab12", "far", "linear", None, ("--folds", "2"), gpu=False, internet=False, hours=1)


def test_no_credential_is_packed() -> None:
    assert script._is_source(PACKAGE / "scale" / "script.py")
    for name in ("kaggle.json", "credentials.json", ".kaggle/a.json", "__pycache__/a.py"):
        assert not script._is_source(PACKAGE / "scale" / name)


def test_the_same_order_makes_the_same_bytes_and_names_no_place_of_this_machine() -> None:
    first = make_script(ORDER)
    pack_source.cache_clear()
    assert make_script(ORDER) == first
    assert first.bytes < script.LIMIT / 2
    assert str(Path.home()) not in first.text
    assert str(PACKAGE) not in first.text
    compile(first.text, "script.py", "exec")


def test_all_of_the_package_travels(tmp_path: Path) -> None:
    source = pack_source()
    unpack(source, hashlib.sha256(source.encode()).hexdigest(), tmp_path)
    here = {
        path.relative_to(PACKAGE).as_posix(): path.read_bytes()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    there = {
        path.relative_to(tmp_path / "kaggle_digits").as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert there == here


def test_a_source_that_changed_on_its_way_is_not_run(tmp_path: Path) -> None:
    source = pack_source()
    digest = hashlib.sha256(source.encode()).hexdigest()
    with pytest.raises(SessionError, match="changed on its way"):
        unpack(source[:-8] + "AAAAAAAA", digest, tmp_path)


def test_a_script_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "LIMIT", 1000)
    with pytest.raises(KaggleError, match=r"bytes and Kaggle takes 1,000"):
        make_script(ORDER)


def test_recipe_text_with_quotes_survives() -> None:
    text = '{"name": "it\'s \\"quoted\\" \\\\ and \\n é"}'
    order = JobSpec("ab", "far", "mine.json", text, (), gpu=False, internet=False, hours=1)
    script = make_script(order).text.rpartition("if __name__")[0]
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script, "script.py", "exec"), names)
    assert json.loads(names["SETTINGS"])["recipe_text"] == text


@pytest.mark.parametrize(
    "place", ["competitions/digit-recognizer", "digit-recognizer", "other/name", ""]
)
def test_the_data_are_found_wherever_kaggle_puts_them(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty" / "train.csv").parent.mkdir()
    (tmp_path / "empty" / "train.csv").touch()
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    for name in entry_point.FILES:
        (folder / name).touch()
    assert find_data(tmp_path) == folder


def test_no_data_says_to_accept_the_rules(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="accept the competition's rules"):
        find_data(tmp_path)


HERE, ABSENT = ("pytest", "pytest", "1"), ("no-such-package", "no_such_package", "2")
OLD = ("pytest", "pytest", "999")


def test_packages_that_are_there_are_left_alone() -> None:
    assert ensure_packages([HERE], [HERE], internet=True, install=lambda _: "asked") == []


def test_what_training_can_do_without_does_not_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensure_packages([HERE], [ABSENT], internet=False) == []
    assert "no-such-package is missing (the internet is off)" in capsys.readouterr().out


def test_what_is_needed_is_installed_or_named() -> None:
    with pytest.raises(
        SessionError, match=r"no-such-package is missing .* push again with --internet"
    ):
        ensure_packages([ABSENT], [], internet=False)
    asked: list[str] = []

    def install(requirement: str) -> str | None:
        asked.append(requirement)
        return None if len(asked) == 1 else "pip: no matching distribution"

    ensure_packages([ABSENT], [], internet=True, install=install)
    assert asked == ["no-such-package>=2"]
    with pytest.raises(SessionError, match="no matching distribution"):
        ensure_packages([ABSENT], [], internet=True, install=install)


def test_old_packages_are_renewed_but_never_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ensure_packages([OLD], [], internet=True, install=asked.append)
    assert asked == ["pytest>=999"]
    monkeypatch.setattr(entry_point, "NEVER_REPLACED", ("pytest",))
    (left,) = ensure_packages([OLD], [], internet=True, install=asked.append)
    assert left.startswith("pytest ")
    assert len(asked) == 1
    assert ensure_packages([OLD], [], internet=False) == [left]


def child_script(folder: Path, body: str) -> list[str]:
    path = folder / "child.py"
    path.write_text(f"import signal, sys, time\n{body}", encoding="utf-8")
    return [sys.executable, "-u", str(path)]


SLOW = """
print("begun")
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("kept"); sys.exit(130)
"""


def test_the_training_is_stopped_before_its_time_is_over(tmp_path: Path) -> None:
    code, why, tail = run_with_time_limit(
        child_script(tmp_path, SLOW), dict(os.environ), tmp_path, 1.5
    )
    assert (code, tail) == (130, ["begun", "kept"])
    assert "hours are over" in why


def test_told_to_end_it_ends_as_by_ctrl_c(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    code, why, tail = run_with_time_limit(
        child_script(tmp_path, SLOW), dict(os.environ), tmp_path, 60
    )
    assert (code, tail[-1], why) == (130, "kept", "this session is told to end")
    assert signal.getsignal(signal.SIGTERM) is handler


def test_one_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_point, "GRACE_SECONDS", 0.3)
    deaf = "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    begun = time.monotonic()
    code, why, _ = run_with_time_limit(
        child_script(tmp_path, deaf), dict(os.environ), tmp_path, 0.5
    )
    assert code == -signal.SIGKILL
    assert why
    assert time.monotonic() - begun < 10


def unfinished(folder: Path, done: int) -> Path:
    """A run folder with so many of three members finished."""
    run = folder / "runs" / "far"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"members": 3}')
    (run / ".lock").touch()
    for member in range(done):
        (run / "members" / str(member)).mkdir(parents=True)
        (run / "members" / str(member) / "member.json").write_text("{}")
    return run


@pytest.mark.parametrize(("done", "state"), [(0, "failed"), (2, "partial")])
def test_members_that_are_finished_are_packed(done: int, state: str, tmp_path: Path) -> None:
    told = pack_run(unfinished(tmp_path, done), tmp_path, ended_well=False)
    assert (told["state"], told["members_done"]) == (state, done)
    assert (tmp_path / "kd-run.zip").exists() == bool(done)
    assert not any(".lock" in name for name in told["files"])


def bare(folder: Path, source: str, **settings: Any) -> tuple[dict[str, Any], str]:
    """Run a script with ``source`` as its toolkit in a bare folder; its manifest and its words."""
    given = {
        **{"push_id": "ab", "run": "far", "recipe": "linear", "recipe_text": None, "options": []},
        **{"gpu": False, "internet": False, "hours": 1.0, "toolkit": "0"},
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        **settings,
    }
    text = Path(entry_point.__file__).read_text(encoding="utf-8")
    call = f"\nsys.exit(main(json.loads({json.dumps(given)!r}), {source!r}))\n"
    (folder / "script.py").write_text(text + call, encoding="utf-8")
    python, env = bare_python()
    env |= {"KD_KERNEL_INPUT": str(folder / "in"), "TMPDIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [python, "script.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )
    manifest = json.loads((folder / "kd-manifest.json").read_text())
    assert done.returncode == (1 if manifest["state"] == "failed" else 0), done.stdout
    assert not list(folder.glob("kd-*/")), "its temporary folder stays"
    return manifest, done.stdout


def toolkit(body: str) -> str:
    """A packed toolkit whose ``kd`` is ``body``."""
    files = {"kaggle_digits/__init__.py": "", "kaggle_digits/__main__.py": body}
    return base64.b64encode(lzma.compress(json.dumps(files).encode())).decode()


def inputs(folder: Path) -> None:
    (folder / "in").mkdir()
    for name in entry_point.FILES:
        (folder / "in" / name).write_text(name)


def test_a_session_without_the_gpu_that_was_asked_for_ends_at_once(tmp_path: Path) -> None:
    manifest, words = bare(tmp_path, toolkit(""), gpu=True)
    assert "no GPU" in manifest["reason"]
    assert '"state": "failed"' in words.splitlines()[-1]


def test_a_training_that_fails_leaves_its_last_words(tmp_path: Path) -> None:
    inputs(tmp_path)
    body = "import sys\nprint('one')\nsys.exit('error: no memory left')"
    manifest, _ = bare(tmp_path, toolkit(body))
    assert manifest["reason"].startswith("kd train ended with 1: error: no memory left")
    assert manifest["log_tail"] == ["one", "error: no memory left"]
    assert manifest["exit_code"] == 1
    assert set(manifest["data"]) == set(entry_point.FILES)


def test_a_training_that_is_cut_off_leaves_its_finished_members(tmp_path: Path) -> None:
    inputs(tmp_path)
    body = """
import json, pathlib, sys, time
run = pathlib.Path(sys.argv[sys.argv.index("--runs-dir") + 1]) / "far"
(run / "members" / "0").mkdir(parents=True)
(run / "config.json").write_text('{"members": 2}')
(run / "members" / "0" / "member.json").write_text("{}")
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""
    manifest, _ = bare(tmp_path, toolkit(body), hours=3 / 3600)
    assert (manifest["state"], manifest["members_done"], manifest["members"]) == ("partial", 1, 2)
    assert "hours are over" in manifest["reason"]
    assert (tmp_path / "kd-run.zip").is_file()
