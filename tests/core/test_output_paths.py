"""Names that the toolkit uses, and files that stand in the way."""

import ast
import os
import re
from pathlib import Path

import pytest

import kaggle_digits
from kaggle_digits.core import output_paths
from kaggle_digits.core.errors import SubmissionError, UsageError
from kaggle_digits.core.output_paths import back_up, check_output, new_folder, reject_reserved

PACKAGE = Path(kaggle_digits.__file__).parent
# Constants of the package that name no file in the folders of data, runs and submissions.
OTHER = {
    *("access_token", "access_token.txt", "kaggle.json", "credentials.json"),  # the credential
    *("benchmark_results.json", "README.md", "metadata.json", "model.weights.h5"),
    *("kd-manifest.json", "kd-run.zip", "model.onnx", "push.json"),  # in hidden folders, exports
    *("settings.json", "not_digit.npz", "run.json", "labels.csv"),
}
FILE_NAME = re.compile(
    r"[a-z_][a-z0-9_-]*\.(csv|json|npy|npz|html|png|log|db|keras|tflite|skops|joblib)"
)


def test_every_file_name_of_the_package_is_reserved() -> None:
    """A constant that names a file, in any package, is in one of the tables."""
    tables = [names for _, _, names in output_paths.OWN_FOLDERS]
    known = output_paths.RESERVED.union(*tables)
    missing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
                names = {text for text in texts if isinstance(text, str)}
                missing |= {name for name in names if FILE_NAME.fullmatch(name)} - known - OTHER
    assert not missing


@pytest.mark.parametrize(
    "name",
    [
        "log.csv",
        "LOG.CSV",
        "ｌｏｇ.csv",
        "log.csv.",
        "tuning",
        "Studies",
        "nul",
        "COM1.csv",
        "aux.x.csv",
    ],
)
def test_some_names_are_reserved_everywhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose another"):
        reject_reserved(tmp_path / name)


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        ("train.csv", "test.csv"),
        ("source.json", "Sample_Submission.csv"),
        ("config.json", "metrics.json"),
        ("config.json", "members/0/test.npy"),
        ("config.json", ".lock"),
        ("journal.log", "best.json"),
        ("index.html", "table.csv"),
    ],
)
def test_other_names_are_reserved_in_the_toolkits_folders(
    marker: str, name: str, tmp_path: Path
) -> None:
    reject_reserved(tmp_path / name)
    (tmp_path / marker).touch()
    with pytest.raises(UsageError, match="kd itself uses the name"):
        reject_reserved(tmp_path / name)
    reject_reserved(tmp_path / "own.csv")


def test_everything_that_would_be_replaced_is_checked(tmp_path: Path) -> None:
    path, beside = tmp_path / "a.csv", tmp_path / "a.json"
    check_output(path, beside)
    beside.symlink_to("nowhere")  # a dangling link would be replaced, too
    with pytest.raises(SubmissionError, match=r"a\.json already exists; .*`force=True`"):
        check_output(path, beside, error=SubmissionError)
    check_output(path, beside, force=True)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        (tmp_path / "file").touch()
        check_output(tmp_path / "file" / "new" / "a.csv")
    for obstacle, kind in ((tmp_path, "a folder"), (Path(os.devnull), "a device")):
        with pytest.raises(UsageError, match=f"{kind}; name a file"):
            check_output(obstacle, force=True)
    check_output(tmp_path, folder=True, force=True)


def test_backups_of_files_that_belong_together_have_one_number(tmp_path: Path) -> None:
    path, beside = tmp_path / "a.csv", tmp_path / "a.json"
    for file in (path, beside, tmp_path / "a-old-1.json"):
        file.write_text(file.name)
    back_up(path, beside)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "a-old-1.json": "a-old-1.json",
        "a-old-2.csv": "a.csv",
        "a-old-2.json": "a.json",
    }
    back_up(path, beside)  # nothing to do


def test_new_folder_is_complete_or_absent(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for name in ("old.txt", "new.txt"):
        with new_folder(folder) as part:
            (part / name).touch()
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert [path.name for path in (tmp_path / "new-old-1").iterdir()] == ["old.txt"]
    with pytest.raises(ValueError, match="stopped"), new_folder(tmp_path / "other") as part:
        (part / "partial.txt").touch()
        raise ValueError("stopped")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new-old-1"]
