"""Settings of other tools: the same predictions and plots beside each of them."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.kd import Ended, environment, run
from tests.robustness.report import Row

TRAIN = ("train", "--model", "cnn", "--rows", "150", "--epochs", "2", "--name", "a")
COMMANDS = (
    TRAIN,
    ("train", "--model", "linear", "--rows", "300", "--name", "b"),
    ("evaluate", "a"),
    ("inspect",),
    ("runs", "--json"),
)
SUFFIXES = (".npy", ".png", ".csv", ".html")
TIMES = ("history.csv", "report.html")  # contain seconds
ODD_RC = """font.size: 30
image.cmap: jet
savefig.bbox: tight
figure.dpi: 30
axes.formatter.use_locale: True
text.usetex: True
backend: TkAgg
"""
# Runs at the start of every Python process.
SITE = """
import decimal, numpy, pandas, sklearn
numpy.set_printoptions(precision=1, threshold=2, legacy="1.13")
numpy.seterr(all="raise")
pandas.set_option("display.precision", 1, "display.max_rows", 2)
sklearn.set_config(transform_output="pandas", working_memory=1)
decimal.getcontext().prec = 3
"""


@dataclass(frozen=True)
class Setting:
    """Variables and files of another tool; {folder} in a value is the working folder."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)


def _keras_json(content: str | bytes) -> dict[str, str | bytes]:
    return {"home/.keras/keras.json": content}


SETTINGS = (
    Setting("keras.json: float16", files=_keras_json('{"floatx": "float16"}')),
    Setting("keras.json: float64", files=_keras_json('{"floatx": "float64"}')),
    Setting("keras.json: epsilon", files=_keras_json('{"epsilon": 0.1}')),
    Setting(
        "keras.json: channels first",
        files=_keras_json('{"image_data_format": "channels_first"}'),
    ),
    Setting("keras.json: another backend", files=_keras_json('{"backend": "torch"}')),
    Setting("keras.json: wrong values", files=_keras_json('{"floatx": 3, "epsilon": "a"}')),
    Setting("keras.json: UTF-16", files=_keras_json("{}".encode("utf-16"))),
    Setting("KERAS_HOME", {"KERAS_HOME": "{folder}/k"}, {"k/keras.json": '{"floatx": "float16"}'}),
    Setting("KERAS_MAX_EPOCHS", {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1"}),
    Setting("KERAS_MAX_EPOCHS without a value", {"KERAS_MAX_EPOCHS": ""}),
    Setting("MPLBACKEND of a notebook", {"MPLBACKEND": "module://no_such.backend_inline"}),
    Setting("MPLBACKEND with a window", {"MPLBACKEND": "Qt4Agg"}),
    Setting("matplotlibrc beside the data", files={"matplotlibrc": ODD_RC}),
    Setting("matplotlibrc at home", files={"home/.config/matplotlib/matplotlibrc": ODD_RC}),
    Setting("MATPLOTLIBRC", {"MATPLOTLIBRC": "{folder}/rc"}, {"rc": ODD_RC}),
    Setting("matplotlibrc with wrong values", files={"matplotlibrc": "font.size: big\nno: 1\n"}),
    Setting("matplotlibrc in UTF-16", files={"matplotlibrc": ODD_RC.encode("utf-16")}),
    Setting("TF_USE_LEGACY_KERAS", {"TF_USE_LEGACY_KERAS": "1"}),
    Setting("TF_ENABLE_ONEDNN_OPTS", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    Setting("oneDNN", {"ONEDNN_MAX_CPU_ISA": "SSE41", "ONEDNN_VERBOSE": "1"}),
    Setting("TF_XLA_FLAGS", {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
    Setting("XLA_FLAGS that do not exist", {"XLA_FLAGS": "--no_such_flag=true"}),
    Setting("JAX", {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "tpu", "JAX_DEBUG_NANS": "1"}),
    Setting("no GPU", {"CUDA_VISIBLE_DEVICES": ""}),
    Setting("scikit-learn", {"SKLEARN_WORKING_MEMORY": "all", "SCIPY_ARRAY_API": "1"}),
    Setting("pandas", {"PANDAS_FUTURE_INFER_STRING": "0", "PANDAS_COPY_ON_WRITE": "0"}),
    Setting("warnings as errors", {"PYTHONWARNINGS": "error"}),
    Setting("locale C", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    Setting("a Turkish locale", {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr", "TZ": "No/Where"}),
    Setting("a German locale", {"LC_ALL": "de_DE.UTF-8", "PYTHONIOENCODING": "utf-16"}),
    Setting("a narrow, coloured terminal", {"COLUMNS": "9", "FORCE_COLOR": "1", "LINES": "1"}),
    Setting("options of numpy, pandas and others", {"PYTHONPATH": "{folder}/site"}),
)
QUICK = 3  # settings


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield one row per setting."""
    env = environment(work / "home")
    template = work / "template"
    ended = run(("fetch", "--source", "sample"), template, env)
    assert ended.code == 0, ended.stderr
    expected = _results(Setting("none"), template, work, env)
    problems = [expected[" ".join(words)] for words in COMMANDS]
    assert not any(problems), problems
    settings = random.Random(seed).sample(SETTINGS, QUICK) if quick else SETTINGS
    for setting in settings:
        found = _results(setting, template, work, env)
        bad = [name for name in expected | found if expected.get(name) != found.get(name)]
        for name in bad:
            print(f"  {setting.name}: {name} differs: {found.get(name)}", flush=True)
        yield Row("other tools", setting.name, len(expected), len(bad))


def _results(
    setting: Setting, template: Path, work: Path, env: dict[str, str]
) -> dict[str, str | None]:
    """Run all commands; return file → hash and command → error, None if it succeeded."""
    folder = work / "place"
    shutil.copytree(template, folder)
    for name, content in {**setting.files, "site/sitecustomize.py": SITE}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    variables = {name: text.format(folder=folder) for name, text in setting.env.items()}
    if "PYTHONPATH" in variables:
        variables["PYTHONPATH"] += f":{env['PYTHONPATH']}"
    results: dict[str, str | None] = {}
    for words in COMMANDS:
        ended = run(words, folder, {**env, "HOME": str(folder / "home"), **variables})
        results[" ".join(words)] = _problem(ended)
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.name not in TIMES:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            results[str(path.relative_to(folder))] = digest
    shutil.rmtree(folder)
    return results


def _problem(ended: Ended) -> str | None:
    return None if ended.code == 0 and ended.explained else ended.stderr[-300:]
