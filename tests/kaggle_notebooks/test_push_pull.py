"""Push, status and pull through the real kaggle client; the pushed script is really run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import (
    DigitsError,
    KaggleError,
    RunError,
    SubmissionError,
    UsageError,
)
from kaggle_digits.data.dataset import load
from kaggle_digits.kaggle_api.retry import RetryPolicy
from kaggle_digits.kaggle_notebooks import output_archive, push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.pull import PullResult, pull
from kaggle_digits.kaggle_notebooks.push import PushRequest, prepare, push
from kaggle_digits.kaggle_notebooks.status import get_status, wait
from kaggle_digits.runs.store import list_runs, open_run
from tests.support.competition_files import competition_files, data_folder
from tests.support.fixtures import RecordingProgress, home, kaggle, policy
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle, Fault
from tests.support.kaggle_session import RUN, changed, facts, left_there, listing
from tests.support.kernels import Session, answering

__all__ = ["home", "kaggle", "left_there", "policy"]

WISH = PushRequest("linear", name=RUN, folds=2, accelerator=None)


class Place:
    """A working folder and Kaggle's notebooks."""

    def __init__(self, folder: Path, policy: RetryPolicy) -> None:
        self.runs, self.submissions = folder / "runs", folder / "submissions"
        self.data = data_folder(folder / "data")
        self.heard = RecordingProgress()
        self.kernels = NotebookClient(
            policy=replace(policy, connect_timeout=10.0, read_timeout=10.0, call_timeout=30.0),
            progress=self.heard,
        )

    def push(self, wish: PushRequest = WISH, **given: Any) -> push_record.PushRecord:
        ready = prepare(wish, runs_dir=self.runs, submissions_dir=self.submissions)
        return push(ready, kernels=self.kernels, runs_dir=self.runs, **given)

    def pull(self, run: str | None = None, data: Path | None = None) -> PullResult:
        pushed = push_record.find(self.runs, run)
        for versions in FAKES[-1].notebooks.values():
            assert versions[-1].done.wait(60)
        return pull(
            pushed,
            self.kernels,
            runs_dir=self.runs,
            submissions_dir=self.submissions,
            data_dir=data or self.data,
        )

    def nothing_came(self) -> None:
        """No run, no submission; of files only the record of the push."""
        assert list_runs(self.runs) == []
        assert [name for name in listing(self.runs) if "/downloads/" not in name] == [
            f".remote/{RUN}/push.json"
        ]
        assert not self.submissions.exists()


FAKES: list[FakeKaggle] = []


@pytest.fixture
def place(kaggle: FakeKaggle, tmp_path: Path, policy: RetryPolicy, left_there: Session) -> Place:
    """Where a session is not run anew: what one left is served."""
    FAKES.append(kaggle)
    kaggle.runner = answering(left_there)
    return Place(tmp_path, policy)


# The whole way


def test_what_is_pushed_is_trained_there_and_comes_back_a_run(
    kaggle: FakeKaggle, place: Place
) -> None:
    kaggle.runner, kaggle.files = kaggle._run, competition_files(n_train=120)
    data_folder(place.data, n_train=120)
    pushed = place.push(PushRequest("linear", name=RUN, seed=3))
    request = kaggle.notebooks["someone/kd-far"][0].request
    sent = {key: value for key, value in request.items() if key != "text"}
    assert sent == {
        "slug": "someone/kd-far",
        "newTitle": "kd far",
        "language": "python",
        "kernelType": "script",
        "competitionDataSources": ["digit-recognizer"],
        "isPrivate": True,
        "enableGpu": True,
        "enableInternet": True,
        "machineShape": "NvidiaTeslaT4",
        "sessionTimeoutSeconds": 32400,
    }
    assert (pushed.ref, pushed.version, pushed.state) == ("someone/kd-far", 1, "pushed")
    news: list[str] = []
    assert wait(pushed, place.kernels, lambda now: news.append(now.state)).state == "complete"
    assert news == ["running", "complete"]
    pulled = place.pull()
    assert pulled.manifest.about["gpus"] == ["Tesla T4", "Tesla T4"]
    assert pulled.submission == place.submissions / f"{RUN}.csv"

    run, dataset = open_run(place.runs, RUN), load(place.data)
    run.check_data(dataset)
    config = run.config()
    assert config["seed"] == 3
    assert config["data"]["source"] == "kaggle"  # the same bytes, of which it is known here
    assert config["git_commit"] is None
    assert config["remote"]["push_id"] == pushed.push_id
    assert (run.member_folder(0) / "model.skops").is_file()
    assert run.oof().shape == (120, 10)
    assert run.oof().dtype == np.float32
    assert run.test().shape == (24, 10)
    assert push_record.find(place.runs, RUN).state == "pulled"
    assert [name for name in listing(place.runs) if name.startswith(".remote")] == [
        f".remote/{RUN}/push.json"
    ]


def test_a_recipe_is_trained_there_as_it_is_here(place: Place, left_there: Session) -> None:
    from kaggle_digits.data.splits import Split
    from kaggle_digits.training.recipes import find_recipe
    from kaggle_digits.training.train import train

    place.push()
    pulled = place.pull()
    how = Split("folds", folds=2)
    here = train(load(place.data), find_recipe("linear"), how, runs_dir=place.runs, name="here")
    np.testing.assert_array_equal(here.oof(), pulled.run.oof())
    np.testing.assert_array_equal(here.test(), pulled.run.test())


def test_files_of_many_pages_are_all_found(kaggle: FakeKaggle, place: Place) -> None:
    place.push()
    place.pull()
    assert kaggle.count("ListKernelSessionOutput") == 2


def test_without_its_data_here_a_run_comes_back_without_submission(
    place: Place, tmp_path: Path
) -> None:
    place.push()
    pulled = place.pull(data=tmp_path / "nowhere")
    assert pulled.submission is None
    assert "kd fetch" in pulled.why_not
    assert not place.submissions.exists()
    assert open_run(place.runs, RUN).finished


def test_with_other_data_here_too(place: Place, tmp_path: Path) -> None:
    place.push()
    other = data_folder(tmp_path / "other", seed=1)
    assert "trained on other data" in place.pull(data=other).why_not


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (PushRequest("no-such"), "no recipe called"),
        (replace(WISH, folds=1), "folds"),
        (replace(WISH, epochs=0), "epochs"),
        (replace(WISH, hours=13), "between 0 and 12"),
        (replace(WISH, name="a/b"), "cannot name a run"),
        (replace(WISH, slug="Big"), "cannot name a notebook"),
        (replace(WISH, name="x" * 60), "--slug"),
    ],
)
def test_wrong_wishes(kaggle: FakeKaggle, place: Place, wish: PushRequest, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        place.push(wish)
    assert kaggle.calls == []


def test_a_name_that_is_taken(kaggle: FakeKaggle, place: Place) -> None:
    (place.runs / RUN).mkdir(parents=True)
    with pytest.raises(RunError, match="already exists"):
        place.push()
    (place.runs / RUN).rmdir()
    place.submissions.mkdir()
    (place.submissions / f"{RUN}.csv").touch()
    with pytest.raises(RunError, match="already exists"):
        place.push()
    assert kaggle.calls == []


def test_without_a_name_the_next_free_number(place: Place) -> None:
    wish = replace(WISH, name=None)
    assert place.push(wish).run == "linear-1"
    assert place.push(wish).run == "linear-2"


def test_a_push_that_was_not_pulled_is_not_pushed_again_unless_forced(
    kaggle: FakeKaggle, place: Place
) -> None:
    first = place.push()
    with pytest.raises(RunError, match="not pulled yet"):
        place.push()
    second = place.push(force=True)
    assert second.version == 2
    assert second.push_id != first.push_id
    with pytest.raises(RunError, match="trains run far"):
        place.push(replace(WISH, name="other", slug="kd-far"))


def test_one_letter_names_and_names_alike(place: Place) -> None:
    assert place.push(replace(WISH, name="x")).ref == "someone/kd-run-x"
    assert place.push(replace(WISH, name="a_B")).ref == "someone/kd-a-b"
    with pytest.raises(RunError, match="trains run a_B"):
        place.push(replace(WISH, name="a-b"))


def test_titles_lead_to_the_slugs_that_the_client_makes_of_them(place: Place) -> None:
    from slugify import slugify

    for name in ("far", "x", "fast-1", "A_b-3", "Best2"):
        ready = prepare(
            replace(WISH, name=name), runs_dir=place.runs, submissions_dir=place.submissions
        )
        assert slugify(ready.slug.replace("-", " ")) == ready.slug


# What Kaggle answers


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("status", 401, "Unauthenticated"), "does not accept the API key of someone"),
        (Fault("status", 403, "Permission 'kernels.create' was denied"), "verify your phone"),
        (Fault("status", 400, "Maximum batch GPU session count of 2 reached."), "GPU session"),
        (Fault("status", 429), "rate limit"),
    ],
)
def test_a_push_that_is_refused_leaves_no_record(
    kaggle: FakeKaggle, place: Place, fault: Fault, said: str
) -> None:
    kaggle.fail("SaveKernel", fault, times=9)
    with pytest.raises(KaggleError, match=said) as caught:
        place.push()
    assert "slug" not in str(caught.value)
    assert push_record.read_all(place.runs) == []
    assert not kaggle.notebooks


def test_an_error_within_the_answer(kaggle: FakeKaggle, place: Place) -> None:
    kaggle.save_error = "Your notebook title must be unique"
    with pytest.raises(KaggleError, match=r"refuses the notebook .*: Your notebook title must"):
        place.push()
    assert push_record.read_all(place.runs) == []


@pytest.mark.parametrize("fault", [Fault("lost"), Fault("status", 500), Fault("html")])
def test_a_push_that_may_have_arrived_is_asked_once_and_kept(
    kaggle: FakeKaggle, place: Place, fault: Fault
) -> None:
    kaggle.fail("SaveKernel", fault, times=9)
    with pytest.raises(KaggleError, match="not known whether someone/kd-far was pushed"):
        place.push()
    assert kaggle.count("SaveKernel") == 1
    assert push_record.find(place.runs, RUN).state == "sending"


def test_a_push_whose_answer_was_lost_is_pulled(kaggle: FakeKaggle, place: Place) -> None:
    kaggle.fail("SaveKernel", Fault("lost"))
    with pytest.raises(KaggleError, match="not known"):
        place.push()
    place.push(force=True)  # as if the first had arrived
    assert place.pull().run.finished


@pytest.mark.parametrize(
    ("method", "fault", "said"),
    [
        ("GetKernelSessionStatus", Fault("status", 401), "does not accept"),
        ("GetKernelSessionStatus", Fault("status", 403), "shows no notebook someone/kd-far"),
        ("GetKernelSessionStatus", Fault("status", 404), "shows no notebook someone/kd-far"),
        ("GetKernelSessionStatus", Fault("status", 500), "internal error"),
        ("GetKernelSessionStatus", Fault("html"), "is not from Kaggle"),
        ("ListKernelSessionOutput", Fault("status", 403), "shows no notebook"),
        ("ListKernelSessionOutput", Fault("truncated"), "is not from Kaggle"),
        ("blob", Fault("status", 403), "no longer good"),
        ("blob", Fault("status", 503), "internal error"),
    ],
)
def test_a_pull_that_fails_says_why_and_leaves_nothing(
    kaggle: FakeKaggle, place: Place, method: str, fault: Fault, said: str
) -> None:
    place.push()
    kaggle.fail(method, fault, times=9)
    with pytest.raises(KaggleError, match=said):
        place.pull()
    place.nothing_came()
    kaggle.heal()
    assert place.pull().run.finished


def test_too_early(kaggle: FakeKaggle, place: Place) -> None:
    pushed = place.push()
    kaggle.status = "QUEUED"
    assert get_status(pushed, place.kernels).state == "queued"
    with pytest.raises(KaggleError, match="is queued; wait for it"):
        place.pull()


@pytest.mark.parametrize("numbers", [True, False])
def test_while_kaggle_shows_the_earlier_version(
    kaggle: FakeKaggle, place: Place, *, numbers: bool
) -> None:
    kaggle.numbers = numbers
    place.push()
    again = place.push(force=True)
    kaggle.lagging = True
    assert get_status(again, place.kernels).stale is numbers
    with pytest.raises(KaggleError, match="still shows the earlier version"):
        place.pull()
    place.nothing_came()
    kaggle.lagging = False
    assert place.pull().manifest.push_id == again.push_id


# Sessions that fail


def failing(session: Session, reason: str) -> Session:
    told = json.loads(session.files["kd-manifest.json"])
    told |= {"state": "failed", "reason": reason, "archive": None, "files": {}}
    told["log_tail"] = ["epoch 1", "Out of memory"]
    short = json.dumps({key: told[key] for key in ("push_id", "run", "state", "reason")})
    printed = f"epoch 1\nOut of memory\nkd-manifest: {short}\n"
    return Session({"kd-manifest.json": json.dumps(told).encode()}, printed, 1)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_failed_session_says_its_reason_and_last_words(
    kaggle: FakeKaggle, place: Place, left_there: Session, *, keeps: bool
) -> None:
    kaggle.runner = answering(failing(left_there, "kd train ended with 1"))
    kaggle.keeps_failed = keeps
    place.push()
    with pytest.raises(KaggleError, match=r"failed: kd train .* epoch 1 \| Out of memory; see"):
        place.pull()
    place.nothing_came()
    found = push_record.find(place.runs, RUN)
    assert (found.state, found.reason) == ("failed", "kd train ended with 1")
    place.push()  # a failed one needs no --force


def test_a_session_that_kaggle_cut_off(kaggle: FakeKaggle, place: Place) -> None:
    kaggle.runner = lambda request: Session({}, "epoch 1\n", 1)
    kaggle.failure = "Your notebook was stopped after 12 hours"
    place.push()
    with pytest.raises(KaggleError, match=r"stopped after 12 hours; its last lines: epoch 1"):
        place.pull()


def test_a_failed_session_over_the_files_of_an_earlier_one(
    kaggle: FakeKaggle, place: Place
) -> None:
    first = place.push()
    assert kaggle.notebooks[first.ref][0].done.wait(10)
    place.push(force=True)
    kaggle.notebooks[first.ref][1].session = kaggle.notebooks[first.ref][0].session
    kaggle.status, kaggle.failure = "ERROR", "out of time"
    with pytest.raises(KaggleError, match="failed: out of time"):
        place.pull()


def test_members_that_were_finished_come_back_to_be_resumed(
    kaggle: FakeKaggle, place: Place, left_there: Session
) -> None:
    from kaggle_digits.training.train import resume

    def lose(files: dict[str, bytes]) -> None:
        for name in list(files):
            if name.startswith("members/1") or name in ("metrics.json", "oof.npy", "test.npy"):
                del files[name]

    def tell(told: dict[str, Any]) -> None:
        told |= {"state": "partial", "members_done": 1, "reason": "8.5 hours are over"}

    kaggle.runner = answering(changed(left_there, lose, manifest=tell, honest=True))
    place.push()
    pulled = place.pull()
    assert pulled.manifest.state == "partial"
    assert not pulled.run.finished
    finished = resume(load(place.data), runs_dir=place.runs, name=RUN)
    kaggle.runner = answering(left_there)
    place.push(replace(WISH, name="whole"), force=True)
    assert finished.metrics()["n_val"] == 40


# What came back is not what was packed


def damage(name: str, content: bytes | None = None) -> Any:
    def change(files: dict[str, bytes]) -> None:
        if content is None:
            del files[name]
        else:
            files[name] = content

    return change


def array(rows: int, columns: int = 10, kind: type = np.float32) -> bytes:
    out = BytesIO()
    np.save(out, np.full((rows, columns), 1 / columns, kind))
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damage("oof.npy"), "oof.npy is missing"),
        (damage("oof.npy", array(39)), "39 rows instead of 40"),
        (damage("test.npy", array(24, kind=np.float64)), "test.npy is damaged"),
        (damage("test.npy", array(24, 11)), "test.npy is damaged"),
        (damage("members/1/model.skops"), "member 1 has no model"),
        (damage("members/1/member.json"), "1 of 2 finished members"),
        (damage("members/0/test.npy", b"x"), ""),
        (damage("config.json", b"{}"), "members"),
        (damage("metrics.json", b"[]"), "metrics.json is damaged"),
        (damage("history.csv", b"member\n"), "history.csv"),
        (damage("../evil.py", b"x"), "no file of a run"),
        (damage("/evil.py", b"x"), "no file of a run"),
        (damage("a\\..\\evil.py", b"x"), "no file of a run"),
        (damage("members/../../evil.py", b"x"), "no file of a run"),
        (damage(".hidden", b"x"), "no file of a run"),
        (damage("C:evil", b"x"), "no file of a run"),
    ],
)
def test_odd_contents_are_refused(
    kaggle: FakeKaggle, place: Place, left_there: Session, change: Any, said: str
) -> None:
    kaggle.runner = answering(changed(left_there, change, honest=True))
    place.push()
    with pytest.raises(KaggleError, match=f"not sound: .*{said}"):
        place.pull()
    place.nothing_came()


def test_a_zip_or_file_that_was_tampered_with(
    kaggle: FakeKaggle, place: Place, left_there: Session
) -> None:
    turned = array(24)
    for honest_archive in (False, True):

        def tell(told: dict[str, Any], honest: bool = honest_archive) -> None:
            if not honest:
                return
            bytes_of = changed(left_there, damage("test.npy", turned)).files["kd-run.zip"]
            told["archive"] = {"name": "kd-run.zip", **facts(bytes_of)}

        kaggle.runner = answering(changed(left_there, damage("test.npy", turned), manifest=tell))
        place.push(force=True)
        with pytest.raises(KaggleError):
            place.pull()
        place.nothing_came()


def test_links_and_bombs(tmp_path: Path) -> None:
    def unpacked(info: zipfile.ZipInfo, content: bytes, size: int) -> None:
        path = tmp_path / "kd-run.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(info, content)
        packed = facts(path.read_bytes())
        manifest = output_archive.Manifest(
            push_id="a",
            run=RUN,
            state="finished",
            reason="",
            log_tail=(),
            files={info.filename: (size, facts(content)["sha256"])},
            archive=(packed["bytes"], packed["sha256"]),
            data={},
            members=1,
            members_done=1,
            about={},
        )
        output_archive.unpack(path, manifest, tmp_path / "out")

    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(KaggleError, match="no file of a run"):
        unpacked(link, b"/etc/passwd", 11)
    bomb = zipfile.ZipInfo("bomb.npy")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(KaggleError, match="longer than the manifest says"):
        unpacked(bomb, bytes(8 << 20), 1000)
    assert (tmp_path / "out" / "bomb.npy").stat().st_size == 0
    with pytest.raises(KaggleError, match="more in it"):
        unpacked(bomb, b"x", 1 << 40)


def test_a_download_that_breaks_off_goes_on(kaggle: FakeKaggle, place: Place) -> None:
    place.push()
    kaggle.fail("blob", Fault("drop", at=100))  # the manifest
    kaggle.fail("blob", Fault("drop", at=2000))
    place.pull()
    ranges = [call.range for call in kaggle.calls if call.method == "blob"]
    assert any(one and one.startswith("bytes=") for one in ranges)
    assert all(call.authorization is None for call in kaggle.calls if call.method == "blob")


def test_a_download_without_end(kaggle: FakeKaggle, place: Place, left_there: Session) -> None:
    def tell(told: dict[str, Any]) -> None:
        told["archive"]["bytes"] = 10

    kaggle.runner = answering(changed(left_there, manifest=tell))
    place.push()
    with pytest.raises(KaggleError, match="larger than the 10 bytes"):
        place.pull()
    place.nothing_came()


# Names, kills, secrets


def test_a_run_or_submission_that_stands_is_never_replaced(place: Place) -> None:
    place.push()
    place.submissions.mkdir()
    (place.submissions / f"{RUN}.csv").write_text("mine")
    with pytest.raises(SubmissionError, match="already exists"):
        place.pull()
    (place.submissions / f"{RUN}.csv").unlink()
    (place.runs / RUN).mkdir()
    (place.runs / RUN / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already exists"):
        place.pull()
    assert (place.runs / RUN / "mine.txt").read_text() == "mine"


KILLED = """
import os, sys, time
from pathlib import Path
from kaggle_digits.kaggle_notebooks.api import Kernels
from kaggle_digits.scale import came_back, pull, record
def slow(*words):
    (Path(sys.argv[1]) / "now").touch()
    time.sleep(60)
setattr(*{"verify": (came_back, "verify", slow), "place": (pull, "create", slow)}[sys.argv[2]])
runs = Path(sys.argv[1]) / "runs"
pull.pull(push_record.find(runs, None), Kernels(), runs_dir=runs,
          submissions_dir=runs.parent / "submissions", data_dir=runs.parent / "data")
"""


@pytest.mark.parametrize("when", ["verify", "place"])
def test_a_killed_pull_leaves_nothing_half(
    place: Place, kaggle: FakeKaggle, tmp_path: Path, when: str
) -> None:
    place.push()
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), when])
    try:
        for _ in range(300):
            if (tmp_path / "now").exists():
                break
            time.sleep(0.1)
        assert (tmp_path / "now").exists()
    finally:
        child.kill()
        child.wait()
    assert list_runs(place.runs) == []
    assert not (place.runs / RUN).exists()
    assert not place.submissions.exists()
    blobs = kaggle.count("blob")
    assert place.pull().run.finished
    assert kaggle.count("blob") > blobs
    assert not any("unpacked" in name for name in listing(place.runs))


@pytest.mark.parametrize("step", ["write_run_submission", "push_record.write"])
def test_a_pull_killed_when_its_run_stands_is_finished_by_the_next(
    place: Place, kaggle: FakeKaggle, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place.push()

    def killed(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"kaggle_digits.kaggle_notebooks.pull.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            place.pull()
    assert open_run(place.runs, RUN).finished
    pulled = place.pull()
    assert pulled.submission == place.submissions / f"{RUN}.csv"
    assert push_record.find(place.runs, RUN).state == push_record.PULLED
    with pytest.raises(RunError, match="already exists"):
        place.pull(RUN)


def test_two_at_once(place: Place) -> None:
    place.push()
    with push_record.lock(place.runs, RUN), pytest.raises(RunError, match="another kd"):
        place.pull()


def test_a_run_called_config_is_no_trap(place: Place) -> None:
    place.push(replace(WISH, name="config"))
    assert list_runs(place.runs) == []


def test_a_damaged_record_says_what_to_do(place: Place) -> None:
    place.push()
    (push_record.record_dir(place.runs, RUN) / "push.json").write_text("{")
    with pytest.raises(DigitsError, match="is damaged; delete"):
        push_record.find(place.runs, RUN)


def test_no_secret_travels_or_stays(
    kaggle: FakeKaggle, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    place.kernels = NotebookClient(policy=place.kernels.policy, progress=place.heard)
    pushed = place.push()
    place.pull()
    script = kaggle.notebooks[pushed.ref][0].request["text"]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    said = "\n".join(place.heard.notes)
    for secret in (TOKEN, KEY):
        assert secret not in script
        assert secret not in said
        assert not any(secret.encode() in content for content in kept)
    assert str(os.environ["HOME"]) not in script
