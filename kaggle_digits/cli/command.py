"""How the help of every command looks: one style of placeholders, and none after flags."""

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

# Type of a value → its placeholder, unless the option names one, such as FILE.
PLACEHOLDERS: dict[Any, str] = {int: "N", float: "X", Path: "FILE"}


class Command(TyperCommand):
    """A command with the help of this package."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters with their placeholders; --help is the last of the last panel."""
        return _with_placeholders(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, RUN instead of {RUN}."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


class Group(TyperGroup):
    """A group of commands with the help of this package."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_placeholders(super().get_params(ctx))


def _with_placeholders(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: ""  # its name is its placeholder
        elif param.is_flag:
            param.metavar = ""
        elif param.metavar is None:
            annotation = getattr(getattr(param, "type_descriptor", None), "annotation", str)
            param.metavar = PLACEHOLDERS.get(annotation, "TEXT")
    if len(params) > 1:
        params[-1].rich_help_panel = params[-2].rich_help_panel
    return params
