"""What is said passes a last sieve: no secret, not even in a traceback that --debug shows."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator


def hide(text: str) -> str:
    """``text`` without what stands in a credential's place."""
    from kaggle_digits.kaggle_api import redaction

    return redaction.hide(text)


@contextlib.contextmanager
def tracebacks() -> Iterator[None]:
    """Print what nobody caught, sieved, and exit with 1.

    A traceback repeats what packages put into their exceptions, such as the header with the token
    or the proxy's address with its password.
    """
    try:
        yield
    except Exception as error:
        sys.stderr.write(hide("".join(traceback.format_exception(error))))
        raise SystemExit(1) from None
