"""A fake OpenML server with a small mnist_784 for scikit-learn's fetch_openml."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from tests.support.faults import Fault, FaultyHandler, QuietServer

PIXELS = 784
CALLS = ("list", "description", "features", "qualities", "download")


class FakeOpenML:
    """The server; use as a context manager."""

    def __init__(self, *, rows: int = 50, status: int = 200, highest: int = 255) -> None:
        self.status = status
        self._faults: list[tuple[str, Fault]] = []
        self.closing = threading.Event()
        rng = np.random.default_rng(1)
        self.labels = np.arange(rows) % 10
        self.pixels = rng.integers(0, highest + 1, (rows, PIXELS))
        lines = ["@RELATION mnist_784", ""]
        lines += [f"@ATTRIBUTE pixel{i + 1} real" for i in range(PIXELS)]
        lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "", "@DATA"]
        table = zip(self.pixels.tolist(), self.labels.tolist(), strict=True)
        lines += [",".join(map(str, [*pixels, label])) for pixels, label in table]
        self.arff = ("\n".join(lines) + "\n").encode()

    def __enter__(self) -> FakeOpenML:
        handler = type("Handler", (_Handler,), {"openml": self})
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, call: str, *faults: Fault, times: int = 1) -> None:
        """Let the next calls of ``call`` (one of CALLS) fail."""
        self._faults += [(call, fault) for fault in faults * times]

    def next_fault(self, path: str) -> Fault | None:
        """Return the fault for this request of ``path``, or None."""
        due = next((pair for pair in self._faults if pair[0] == _call(path)), None)
        if due is not None:
            self._faults.remove(due)
        return due and due[1]

    def answer(self, path: str) -> bytes:
        """Return the content of ``path``: JSON, or the data set as ARFF."""
        if "/data/list/" in path:
            found = [{"did": "554", "name": "mnist_784", "version": "1", "status": "active"}]
            return _json({"data": {"dataset": found}})
        if "/data/features/" in path:
            features = [
                {
                    "index": str(i),
                    "name": f"pixel{i + 1}" if i < PIXELS else "class",
                    "data_type": "numeric" if i < PIXELS else "nominal",
                    "is_target": str(i == PIXELS).lower(),
                    "is_ignore": "false",
                    "is_row_identifier": "false",
                    "number_of_missing_values": "0",
                }
                for i in range(PIXELS + 1)
            ]
            return _json({"data_features": {"feature": features}})
        if "/data/qualities/" in path:
            rows = {"name": "NumberOfInstances", "value": str(float(len(self.labels)))}
            return _json({"data_qualities": {"quality": [rows]}})
        if "/data/" in path and "/download/" not in path:
            description = {
                "id": "554",
                "name": "mnist_784",
                "version": "1",
                "format": "ARFF",
                "status": "active",
                "file_id": "52667",
                "md5_checksum": hashlib.md5(self.arff).hexdigest(),
                "default_target_attribute": "class",
                "url": f"{self.url}data/v1/download/52667/mnist_784.arff",
                "parquet_url": "",
            }
            return _json({"data_set_description": description})
        return self.arff


class _Handler(FaultyHandler, BaseHTTPRequestHandler):
    openml: FakeOpenML

    @property
    def closing(self) -> threading.Event:
        return self.openml.closing

    def do_GET(self) -> None:
        body = self.openml.answer(self.path) if self.openml.status == 200 else b"{}"
        zipped = gzip.compress(body, 1)
        fault = self.openml.next_fault(self.path)
        if fault is None:
            self.send(self.openml.status, zipped, {"Content-Encoding": "gzip"})
        else:
            self.fail(fault, zipped, headers={"Content-Encoding": "gzip"})


def _call(path: str) -> str:
    """Return which of CALLS ``path`` belongs to."""
    for call in ("list", "features", "qualities", "download"):
        if f"/{call}/" in path:
            return call
    return "description"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
