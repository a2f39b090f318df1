"""Add the project's addresses to the package's metadata, and make README's links absolute.

README links to files of this repository. A package index shows README without them, so the links
must lead to the repository, whose address is known where it is published: GitHub's workflows name
it. To set it for every build, write it in pyproject.toml: [tool.hatch.metadata.hooks.custom].
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)]+)\)")


class MetadataHook(MetadataHookInterface):
    """Fill in ``readme`` and ``urls``, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Change the [project] table in place."""
        address, reference = find_repository(self.config)
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        if address:
            readme = with_absolute_links(readme, address, reference)
            metadata["urls"] = {
                "Homepage": address,
                "Documentation": f"{address}/blob/{reference}/docs/guide.md",
                "Changelog": f"{address}/blob/{reference}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}


def find_repository(config: dict[str, Any]) -> tuple[str, str]:
    """Return the repository's address, or "" if it is not known, and the tag or HEAD."""
    env = os.environ
    address = config.get("repository") or ""
    if not address and "GITHUB_REPOSITORY" in env:
        address = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_REPOSITORY']}"
    is_tag = env.get("GITHUB_REF_TYPE") == "tag"
    return address.rstrip("/"), env["GITHUB_REF_NAME"] if is_tag else "HEAD"


def with_absolute_links(text: str, address: str, reference: str) -> str:
    """Return Markdown whose links to files of the repository lead to ``address``.

    A picture's link needs its bytes (raw), another link GitHub's page of the file (blob).
    """

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}{link[2]}({address}/{kind}/{reference}/{link[3]})"

    return LINK.sub(absolute, text)
