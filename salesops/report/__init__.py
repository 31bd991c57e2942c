"""What a notebook says aloud: headlines, tiles, charts, tables, definitions, and the page around them."""

from importlib import import_module
from typing import TYPE_CHECKING

from salesops.report.figures import figure_key
from salesops.report.page import Page
from salesops.report.style import stylesheet
from salesops.report.tiles import tile

if TYPE_CHECKING:
    from salesops.report import charts
    from salesops.report.gate import faults
    from salesops.report.html import page_shell, render

__all__ = ["Page", "charts", "faults", "figure_key", "page_shell", "render", "stylesheet", "tile"]

# Imported when first asked for: no notebook needs what finishes a page, and the engine hardly ever draws.
_LATER = {"charts": "charts", "faults": "gate", "page_shell": "html", "render": "html"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_LATER[name]}")
    return module if name == _LATER[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
