"""List the licences that the installed packages declare.

python -m benchmarks.licences > docs/dependencies.md
"""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
# Short names for common licence texts.
SHORT = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
}
HEAD = """# Dependencies and their licences

The packages that `make setup` installs, with extras and development tools, and the licence that
each declares (`python -m benchmarks.licences`). [constraints.txt](../constraints.txt) pins their
versions. None of them is copied into this repository. Smaller installations: [install](install.md).

| package | licence |
| --- | --- |"""


def names() -> list[str]:
    """Return the names of the packages in constraints.txt."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [re.split(r"[=;\s]", line, maxsplit=1)[0] for line in lines if line[:1].isalnum()]


def licence(package: str) -> str:
    """Return the licence that ``package`` declares, shortened."""
    try:
        declared = metadata(package)
    except PackageNotFoundError:
        return "not installed on this machine"
    return " / ".join(SHORT.get(one, one) for one in _licence_names(declared)) or "see the package"


def _licence_names(declared: PackageMetadata) -> list[str]:
    if "License-Expression" in declared:
        return [declared["License-Expression"]]
    classifiers = declared.get_all("Classifier") or []
    named = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: ")]
    named = [one for one in named if one != "OSI Approved"]
    text = declared["License"].strip().splitlines() if "License" in declared else []
    return named or [line.strip(' "') for line in text[:1] if line.strip()]


def main() -> None:
    """Print docs/dependencies.md."""
    print(HEAD)
    for package in names():
        print(f"| {package} | {licence(package)} |")


if __name__ == "__main__":
    main()
