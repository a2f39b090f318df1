"""Every call to Kaggle and OpenML × every fault of its response."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.faults import DEAD, Fault
from tests.support.openml_server import CALLS as OPENML_CALLS

FETCH, SUBMIT, PUSH, STATUS, PULL, OPENML = "fetch", "submit", "push", "status", "pull", "openml"
ALWAYS = 99
SHORT = "fewer bytes than are due"


@dataclass(frozen=True)
class Call:
    """An API call, the command that makes it, and the credential in use."""

    name: str
    command: str
    credential: str = "key"

    def __str__(self) -> str:
        return f"{self.name} (kd {self.command})"


@dataclass(frozen=True)
class Case:
    """A call that fails several times in a row; a ``recoverable`` one must succeed on a retry."""

    call: Call
    label: str
    fault: Fault
    times: int
    recoverable: bool

    def __str__(self) -> str:
        often = "always" if self.times == ALWAYS else f"{self.times}×"
        return f"{self.call}: {self.label}, {often}"


CALLS = (
    Call("IntrospectToken", FETCH, "token"),
    Call("GenerateAccessToken", FETCH, "login"),
    Call("ListDataFiles", FETCH),
    Call("DownloadDataFile", FETCH),
    Call("blob", FETCH),
    Call("ListSubmissions", SUBMIT),
    Call("GetSubmissionLimits", SUBMIT),
    Call("StartSubmissionUpload", SUBMIT),
    Call("upload", SUBMIT),
    Call("CreateSubmission", SUBMIT),
    Call("GetSubmission", SUBMIT),
    Call("SaveKernel", PUSH),
    Call("GetKernelSessionStatus", STATUS),
    Call("GetKernel", STATUS),
    Call("ListKernelSessionOutput", PULL),
    Call("blob", PULL),
    *(Call(name, OPENML) for name in OPENML_CALLS),
)
# Not retried, because a retry might do it twice.
ONCE_ONLY = {"CreateSubmission", "SaveKernel"}
PASSING = {
    *("dropped at a random byte", "reset", "no response", "408", "429", "500", "503"),
    *("429, Retry-After: 0.2", "502, a web page", "200, a web page", "half a JSON"),
    *(SHORT, "more bytes announced than sent", "a slow trickle"),
}


def faults(rng: random.Random, elsewhere: str, *, is_file: bool) -> dict[str, Fault]:
    """Return the faults by name; ``elsewhere`` is the address of another host."""

    def status(code: int, **headers: str) -> Fault:
        pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return Fault("status", code, "Kaggle's words", pairs)

    return {
        "nobody listens": Fault("gone"),
        "dropped at a random byte": Fault("drop", at=rng.randrange(90_000 if is_file else 60)),
        "reset": Fault("reset"),
        "no response": Fault("silent"),
        "a slow trickle": Fault("trickle"),
        **{str(code): status(code) for code in (400, 401, 403, 404, 408, 429, 500, 503)},
        "429, Retry-After: 0.2": status(429, Retry_After="0.2"),
        "429, Retry-After: 3600": status(429, Retry_After="3600"),
        "502, a web page": Fault("html", 502),
        "200, a web page": Fault("html", 200),
        "half a JSON": Fault("truncated"),
        SHORT: Fault("short"),
        "more bytes announced than sent": Fault("long"),
        "JSON of another shape": Fault("shape"),
        "a redirect loop": Fault("loop"),
        "302 to another host": Fault("elsewhere", 302, to=elsewhere),
        "307 to another host": Fault("elsewhere", 307, to=elsewhere),
        "302 to a closed port": Fault("elsewhere", 302, to=f"{DEAD}/x"),
    }


def cases(seed: int, elsewhere: str) -> Iterator[Case]:
    """Yield every call × every fault, once or permanently, as the seed decides."""
    rng = random.Random(seed)
    for call in CALLS:
        found = faults(rng, elsewhere, is_file=call.name in ("blob", "download"))
        if call.name in ONCE_ONLY:
            # The request is executed, but its response is lost.
            found["done, then reset"] = Fault("lost")
            found["done, then no response"] = Fault("silent", done=True)
            found["done, then a web page"] = Fault("html", 502, done=True)
            found["done, then 500"] = Fault("status", 500, done=True)
            found["done, then 307 to another host"] = Fault(
                "elsewhere", 307, to=elsewhere, done=True
            )
        if call.name == "StartSubmissionUpload":
            found["a closed port"] = Fault("refused")
        for label, fault in found.items():
            both = call.name in ONCE_ONLY or call.name in ("blob", "upload")
            often = (1, ALWAYS) if both else (rng.choice((1, ALWAYS)),)
            for times in (1,) if fault.kind == "gone" else often:
                recoverable = (
                    times == 1
                    and label in PASSING
                    and call.name not in ONCE_ONLY
                    and call.command != OPENML
                    and not (call.name == "blob" and label == "a slow trickle")
                    # A notebook's manifest has no known size: a truncated one is damaged.
                    and not (call.command == PULL and label in ("half a JSON", SHORT))
                )
                yield Case(call, label, fault, times, recoverable)
