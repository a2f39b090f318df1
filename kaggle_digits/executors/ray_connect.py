"""Reaching a Ray cluster: within seconds, or with the reason why not.

Where nobody answers, ray.init() waits for minutes and may end the process; so a process of its
own tries first, and can be left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import RunError, UsageError

SECONDS_TO_CONNECT = 27
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
HOW_TO_START = "start one with: ray start --head, and on the other machines: ray start --address"


def connect(address: str) -> Any:
    """The ray module, connected to the cluster at ``address``.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, ``host:port`` of a head
            node, or ``ray://host:port`` of its door for clients.

    Raises:
        UsageError: ray is not installed.
        RunError: there is no cluster, it does not answer, or runs another version.
    """
    _prepare_environment()
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--executor ray wants ray ({error}); install it: pip install 'kaggle-digits[ray]'"
        ) from error
    if ray.is_initialized():
        return ray
    try:
        tried = subprocess.run(
            [sys.executable, "-m", "kaggle_digits.executors.ray_connect", address],
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_CONNECT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        words = _text(error.stdout) + _text(error.stderr)
        raise RunError(_explain(address, words or "no answer")) from None
    if tried.returncode != 0:
        raise RunError(_explain(address, tried.stdout + tried.stderr))
    _init(ray, address)
    return ray


def _prepare_environment() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # With a token at hand, head nodes ask for it, yet drivers do not show it by themselves;
    # showing it to a cluster that does not ask is harmless.
    token = Path(os.path.expanduser("~/.ray/auth_token"))  # noqa: PTH111  no home: no failure
    if token.is_file() or any(os.environ.get(name) for name in TOKEN_VARIABLES):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _init(ray: Any, address: str) -> None:
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)


def _explain(address: str, words: str) -> str:
    """One line from what ray printed in vain."""
    if "Version mismatch" in words:
        mismatch = " ".join(words[words.index("Version mismatch") :].split())[:300]
        return (
            f"the Ray cluster at {address} runs another version ({mismatch}); install the same "
            "ray and the same Python, to the patch, on all machines"
        )
    if "Unauthenticated" in words or "AuthToken" in words:
        return (
            f"the Ray cluster at {address} wants a token; put its own into ~/.ray/auth_token here "
            "or into the variable RAY_AUTH_TOKEN, and run it again"
        )
    if address == "auto":
        return f"no Ray cluster runs on this machine; {HOW_TO_START}"
    # The door forks beside gRPC's threads for each who comes, and now and then hangs over it.
    again = "run it again, or " if address.startswith("ray://") else ""
    return (
        f"no Ray cluster answers at {address} within {SECONDS_TO_CONNECT} s; {again}give the "
        f"address that ray start --head printed, or {HOW_TO_START}"
    )


def _text(said: str | bytes | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""


def _try(address: str) -> int:
    """In the process of its own: 0 where a cluster can be reached."""
    import ray

    try:
        _init(ray, address)
    except Exception as error:
        sys.stderr.write(str(error))
        return 1
    ray.shutdown()
    return 0


if __name__ == "__main__":
    # Without the end of the interpreter, in which ray has been seen to hang.
    status = _try(sys.argv[1])
    sys.stderr.flush()
    os._exit(status)
