"""The version of the toolkit, importable by every layer."""

__version__ = "0.1.0"
