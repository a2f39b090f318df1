"""Model files that contain code, read other files or exhaust memory: none of it may succeed.

Code in these files would create the file ``ran``. Wrong predictions of a hostile model are not
covered.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import operator
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.errors import ModelError
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import (
    KerasClassifier,
    Normalizer,
    SklearnClassifier,
    load_classifier,
)
from kaggle_digits.models.io import loads_state
from tests.robustness.report import Row

PART = "files"
IMAGES = np.zeros((10, 28, 28), np.uint8)
IMAGES[np.arange(10), 5:20, np.arange(10) * 2 + 4] = 255
SECRET = b"the secret of this machine"


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """Return the call that pickle makes."""
        return os.system, (self.command,)


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield a row per kind of file."""
    mark = work / "ran"
    command = f"touch '{mark}'"
    pickles = list(evil_pickles(command))
    yield tried(work, mark, "model.joblib that runs code", "model.joblib", pickles)
    yield tried(work, mark, "model.skops that runs code", "model.skops", list(evil_skops(command)))
    yield states(mark, [*pickles, *evil_skops(command)])
    networks = list(evil_keras(work, command))
    yield tried(work, mark, "model.keras that runs code or reads files", "model.keras", networks)


def tried(work: Path, mark: Path, what: str, name: str, contents: list[bytes]) -> Row:
    """Use each file as a member's model: refused in one line, or harmless; no code ran."""
    bad, harmless, why = 0, 0, ""
    for number, content in enumerate(contents):
        folder = work / "models" / name / str(number) / "run" / "members" / "0"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
        fault = ""
        try:
            found = load_classifier(folder).predict_proba(IMAGES)
            harmless += 1
            weights = np.nan_to_num(found).tobytes()
            fault = "a file outside was read" if SECRET in weights else ""
        except ModelError as error:
            fault = "" if "\n" not in str(error) else f"not one line: {error}"
        except Exception:  # a model that loads but cannot predict does no harm
            harmless += 1
        if mark.exists():
            fault = "its code ran"
            mark.unlink()
        bad += bool(fault)
        why = why or (fault and f"; number {number}: {fault}"[:300])
    told = f"{len(contents) - harmless} refused, {harmless} loaded without harm{why}"
    return Row(PART, what, len(contents), bad, told)


def states(mark: Path, contents: list[bytes]) -> Row:
    """Use the same bytes as the state in a checkpoint, also with invented signatures."""
    bad = 0
    signed = [b"pickled by kd, signed " + b"0" * 64 + b"\n" + content for content in contents]
    for content in (*contents, *signed, b"", b"pickled by kd, signed \n"):
        # The caller of restore handles these errors.
        with contextlib.suppress(Exception):
            loads_state(content)
        bad += mark.exists()
        mark.unlink(missing_ok=True)
    return Row(PART, "checkpoints that run code", 2 * len(contents) + 2, bad)


def evil_pickles(command: str) -> Iterator[bytes]:
    """Return malicious pickles as joblib, pickle and numpy write them."""
    import joblib

    for compress in (0, 1, ("lzma", 1)):
        out = io.BytesIO()
        joblib.dump({"estimator": Evil(command), "normalizer": None}, out, compress=compress)
        yield out.getvalue()
    for protocol in range(6):
        yield pickle.dumps(Evil(command), protocol)
    out = io.BytesIO()
    np.save(out, np.array([Evil(command)], object), allow_pickle=True)
    yield out.getvalue()


def evil_skops(command: str) -> Iterator[bytes]:
    """Return files for every way in which skops' format can name a callable."""
    from skops.io import dumps

    call = functools.partial(os.system, command)
    values = [call, operator.methodcaller("system", command), os.system, Evil(command), Evil]
    values += [Path(command), eval, exec, io.FileIO, np.load, pickle.loads, "".join]
    values += [_transformer(call), _transformer(os.system)]
    sound = {"kind": "unit", "scale": 1.0, "offset": 0.0}
    for value in values:
        try:
            yield dumps({"estimator": value, "normalizer": sound})
        except Exception:
            continue
    made = dumps({"estimator": [1], "normalizer": sound})
    names = [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("subprocess", "run")]
    for called in names:
        for loader in LOADERS:
            for protocol in (0, 1, 2, 3, 99):
                yield _renamed(made, called, loader, protocol, command)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("0.npy", "w") as entry:
            for _ in range(1100):
                entry.write(bytes(1 << 20))
        archive.writestr("schema.json", "{}")
    yield out.getvalue()
    for schema in ("", "[]", "null", '{"__loader__": "DictNode"}', "[" * 100_000):
        yield _zipped({"schema.json": schema.encode()})


LOADERS = (
    *("FunctionNode", "PartialNode", "TypeNode", "ObjectNode", "MethodNode", "ReduceNode"),
    *("ConstructorFromReduceNode", "OperatorFuncNode", "TreeNode", "LossNode", "JsonNode"),
    *("ListNode", "DictNode", "NdArrayNode", "RandomStateNode", "RandomGeneratorNode"),
)


def _transformer(function: Any) -> Any:
    """Return a scikit-learn estimator that calls ``function`` when it predicts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = LogisticRegression().fit(IMAGES.reshape(10, -1), np.arange(10))
    return make_pipeline(FunctionTransformer(function), model)


def _renamed(
    made: bytes, called: tuple[str, str], loader: str, protocol: int, command: str
) -> bytes:
    module, name = called
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    schema = json.loads(files["schema.json"])
    arguments: dict[str, Any] = {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
    }
    arguments |= {"content": json.dumps(command), "is_json": True}
    evil: dict[str, Any] = {
        "__class__": name,
        "__module__": module,
        "__loader__": loader,
        "__id__": 12345,
    }
    listed = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
    content: dict[str, Any] = {"module_path": module, "function": name, "func": name, "obj": evil}
    content |= {"args": {**listed, "content": [arguments]}, **listed}
    evil |= {"content": content, "reduce": {**listed, "content": [arguments]}}
    evil |= {"attrs": content, "type": "json", "shape": arguments, "constructor": evil["__class__"]}
    schema["protocol"] = protocol
    try:
        schema["content"]["estimator"] = json.loads(json.dumps(_shallow(evil)))
    except (KeyError, ValueError):
        return made
    return _zipped({**files, "schema.json": json.dumps(schema).encode()})


def _shallow(value: Any, depth: int = 0) -> Any:
    """Return a recursive value, cut off."""
    if depth > 6:
        return None
    if isinstance(value, dict):
        return {key: _shallow(one, depth + 1) for key, one in value.items()}
    return [_shallow(one, depth + 1) for one in value] if isinstance(value, list) else value


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def sound_network(folder: Path) -> dict[str, bytes]:
    """Return the files in a valid model.keras."""
    k = keras()
    body = k.Sequential([k.layers.Flatten(), k.layers.Dense(10)])
    path = KerasClassifier.wrap(body, Normalizer("unit")).save(folder)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def evil_keras(work: Path, command: str) -> Iterator[bytes]:
    """Return model files whose layers, functions, classes or weights run code or read files."""
    import h5py

    files = sound_network(work)
    config = json.loads(files["config.json"])
    secret = work / "secret.txt"
    secret.write_bytes(SECRET * 10)
    for layer in evil_layers(command, secret):
        for at_end in (True, False):
            changed = json.loads(json.dumps(config))
            place = changed["config"]["layers"]
            target = place[-1] if at_end else place[1]
            target.update({**layer, "name": target["name"]})
            if "config" in layer:
                target["config"] = {"name": target["name"], **layer["config"]}
            yield _zipped({**files, "config.json": json.dumps(changed).encode()})
    for where in ("module", "class_name", "registered_name"):
        changed = json.loads(json.dumps(config))
        changed[where] = "os" if where == "module" else "system"
        yield _zipped({**files, "config.json": json.dumps(changed).encode()})
    for name in ("../../ran", "/var/ran", "assets/../../../ran", "model.weights.h5/../x"):
        yield _zipped({**files, name: b"x"})
    weights = io.BytesIO(files["model.weights.h5"])
    outside = work / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.frombuffer((SECRET * 2000)[:31360], np.float32).reshape(784, 10)
    for kind in ("external link", "soft link", "raw file", "virtual", "bomb"):
        out = io.BytesIO(weights.getvalue())
        with h5py.File(out, "r+") as file:
            places: list[str] = []
            file.visititems(
                lambda name, found, places=places: (
                    places.append(name)
                    if isinstance(found, h5py.Dataset) and found.shape == (784, 10)
                    else None
                )
            )
            (place_,) = places
            del file[place_]
            _lead_outside(file, place_, kind, outside, secret)
        yield _zipped({**files, "model.weights.h5": out.getvalue()})
    yield _zipped({"config.json": b"[" * 100_000, "metadata.json": b"{}"})
    yield _zipped({})
    yield files["model.weights.h5"]
    yield pickle.dumps(Evil(command))


def _lead_outside(file: Any, place: str, kind: str, outside: Path, secret: Path) -> None:
    import h5py

    if kind == "external link":
        file[place] = h5py.ExternalLink(str(outside), "/secret")
    elif kind == "soft link":
        file["elsewhere"] = np.zeros((784, 10), np.float32)
        file[place] = h5py.SoftLink("/elsewhere")
    elif kind == "raw file":
        file.create_dataset(place, (784, 10), "f4", external=[(str(outside), 2048, 31360)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((784, 10), "f4")
        layout[:] = h5py.VirtualSource(str(outside), "secret", (784, 10))
        file.create_virtual_dataset(place, layout)
    else:
        file.create_dataset(place, (2**40, 10), "f4", chunks=(784, 10), compression="gzip")


def evil_layers(command: str, secret: Path) -> Iterator[dict[str, Any]]:
    """Return malicious layers as they appear in config.json."""
    k = keras()
    layer = k.layers.Lambda(eval(f"lambda x: (__import__('os').system({command!r}), x)[1]"))
    yield {"module": "keras.layers", "class_name": "Lambda", "config": layer.get_config()}
    for function in (
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {
            "module": "keras.config",
            "class_name": "function",
            "config": "enable_unsafe_deserialization",
        },
        {"module": "keras.utils", "class_name": "function", "config": "get_file"},
        {
            "class_name": "__lambda__",
            "config": {"value": "4wEA", "defaults": None, "closure": None},
        },
        "os.system",
        "keras.utils.get_file",
    ):
        config = {
            "function": function,
            "arguments": {"origin": secret.as_uri(), "command": command},
        }
        yield {"module": "keras.layers", "class_name": "Lambda", "config": config}
        config = {"activation": function}
        yield {"module": "keras.layers", "class_name": "Activation", "config": config}
    yield {"module": "os", "class_name": "system", "config": {"command": command}}
    yield {
        "module": "subprocess",
        "class_name": "Popen",
        "config": {"args": command, "shell": True},
    }
    yield {"module": "builtins", "class_name": "eval", "config": {"source": command}}
    yield {
        "module": "tests.robustness.hostile_models",
        "class_name": "Evil",
        "config": {"command": command},
    }
    yield {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"filepath": str(secret.parent)},
    }
    yield {
        "module": "keras.layers",
        "class_name": "TorchModuleWrapper",
        "config": {"module": "gASVAAAA"},
    }
    yield {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": str(secret)},
    }
    yield {
        "module": "keras.layers",
        "class_name": "IntegerLookup",
        "config": {"vocabulary": str(secret)},
    }
    yield {
        "module": "keras.layers",
        "class_name": "TextVectorization",
        "config": {"vocabulary": str(secret)},
    }
    yield {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2**40}}


def sound_estimator() -> SklearnClassifier:
    """Return a scikit-learn model fitted to ten images."""
    from sklearn.linear_model import LogisticRegression

    found = SklearnClassifier(LogisticRegression(), Normalizer("unit"))
    found.estimator.fit(found.features(IMAGES), np.arange(10))
    return found
