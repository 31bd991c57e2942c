"""What a notebook says aloud: headlines, tiles, charts, tables, definitions, and the page around them."""

from salesops.report import charts
from salesops.report.figures import figure_key
from salesops.report.gate import faults
from salesops.report.html import page_shell, render
from salesops.report.page import Page
from salesops.report.style import stylesheet
from salesops.report.tiles import tile

__all__ = ["Page", "charts", "faults", "figure_key", "page_shell", "render", "stylesheet", "tile"]
