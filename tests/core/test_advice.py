"""Python in a message becomes options and commands."""

import pytest

from kaggle_digits.core.advice import to_command_line, unset_variable, with_variable


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`folds=1` is too small", "--folds 1 is too small"),
        ("`val_fraction=nan` is not", "--val-fraction nan is not"),
        ("try `folds=5, seed=0`", "try --folds 5 --seed 0"),
        ("or `force=True`", "or --force"),
        ("name `data_dir`", "name --data-dir"),
        ("such as `widths=(128, 64)`", "such as --widths 128,64"),
        ("`normalize='a b'`", "--normalize 'a b'"),
        ("run `kd.resume(dataset, name='x')`", "run kd train --resume --name x"),
        ("`kd.train(dataset, 'dense', kd.Split(folds=5))`", "kd train dense --folds 5"),
        ("`kd.fetch('sample')` or not", "kd fetch sample or not"),
        ("`kd.open_run('x').write_submission(path='a.csv')`", "kd predict x -o a.csv"),
        ("same split: `kd.Split(folds=5)`", "same split: kd train --folds 5"),
        ("`kd.find_recipe(FILE, model='m:f')`", "kd train --recipe FILE --model m:f"),
        ("`kd.compare(RUN, RUN)`", "kd compare RUN RUN"),
        ("add `os.environ['KD_TRUST'] = '1'`", "add --trust"),
        ("a file `odd name; =.csv` stays", "a file `odd name; =.csv` stays"),
        ("a lone ` stays", "a lone ` stays"),
    ],
)
def test_translation(message: str, expected: str) -> None:
    assert to_command_line(message) == expected


@pytest.mark.parametrize(
    ("platform", "unset", "put"),
    [
        ("linux", "unset A", "put A=b before the command"),
        ("win32", "Remove-Item Env:A", "type $env:A='b' before the command"),
    ],
)
def test_variables_in_the_shell_of_the_system(
    platform: str, unset: str, put: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert (unset_variable("A"), with_variable("A", "b")) == (unset, put)
