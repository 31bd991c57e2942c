"""The looks, read once: style sheets of blocks and pages, and the style of charts."""

import re
from functools import cache
from importlib.resources import files

_HERE = files("salesops.report")


@cache
def block_css() -> str:
    """Rules of blocks alone, safe inside JupyterLab: every selector begins with ``.so``."""
    return (_HERE / "blocks.css").read_text(encoding="utf-8")


@cache
def stylesheet() -> str:
    """Everything a published page needs, without what JupyterLab alone asks for and without blank space."""
    whole = block_css() + (_HERE / "page.css").read_text(encoding="utf-8")
    whole = re.sub(r"/\*.*?\*/|\[data-jp-theme[^{]*\{[^}]*\}", "", whole, flags=re.DOTALL)
    short = re.sub(r"\s*([{};,])\s*|(?<=:)\s+", r"\1", " ".join(whole.split()))
    return short.replace(";}", "}")


@cache
def chart_style() -> dict[str, object]:
    """Matplotlib's settings for every chart of the house."""
    from matplotlib import rc_params_from_file

    return rc_params_from_file(str(_HERE / "salesops.mplstyle"), use_default_template=False)
