"""The version of the toolkit, importable by every layer. Builds take it from the git tag."""

from importlib import metadata

try:
    __version__ = metadata.version("kaggle-digits")
except metadata.PackageNotFoundError:  # used from a folder on PYTHONPATH
    __version__ = "1.0.0"
