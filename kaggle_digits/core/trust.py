"""Consent (``--trust`` or KD_TRUST=1) to run code that comes with a run folder or a recipe file.

A pickle runs code while it is read, and so does a model named ``package.module:function``.
"""

import os

VARIABLE = "KD_TRUST"
CONSENT = f"`os.environ['{VARIABLE}'] = '1'`"
HINT = f"if you know and trust its author, add {CONSENT}"


def is_enabled() -> bool:
    """Whether the user consented to run code from files."""
    return os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")
