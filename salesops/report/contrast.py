"""Whether the colours of a stylesheet can be told apart, in light, in dark and on paper."""

import re
from collections.abc import Iterator, Mapping

TEXT, GRAPHIC = 4.5, 3.0  # least ratio, WCAG 2.2 success criteria 1.4.3 and 1.4.11
PAIRS = (  # colour, what lies under it, least ratio
    ("text", "paper", TEXT), ("text", "tint", TEXT), ("quiet", "paper", TEXT), ("quiet", "tint", TEXT),
    ("link", "paper", TEXT), ("link", "tint", TEXT), ("series", "paper", GRAPHIC),
)  # fmt: skip


def ratio(first: str, second: str) -> float:
    """Contrast of two colours, 1 to 21: (L1 + 0.05) / (L2 + 0.05), L1 the lighter's relative luminance.

    Parameters
    ----------
    first, second
        ``#rgb`` or ``#rrggbb``.

    References
    ----------
    WCAG 2.2, definition of contrast ratio.

    Examples
    --------
    >>> ratio("#000", "#ffffff"), round(ratio("#595959", "#fff"), 2)
    (21.0, 7.0)
    """
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def too_faint(css: str) -> Iterator[str]:
    """The pairs of a stylesheet's ``--so-`` colours that are too close, block by block.

    Examples
    --------
    >>> list(too_faint(".so { --so-paper: #ffffff; --so-quiet: #999999; }"))
    ['quiet #999999 on paper #ffffff: contrast 2.8, 4.5 is the least']
    """
    for colours in palettes(css):
        for name, under, least in PAIRS:
            if name in colours and under in colours and ratio(colours[name], colours[under]) < least:
                seen = ratio(colours[name], colours[under])
                yield f"{name} {colours[name]} on {under} {colours[under]}: contrast {seen:.1f}, {least} is the least"


def palettes(css: str) -> list[Mapping[str, str]]:
    """Each block of ``--so-`` colours of a stylesheet, later ones filled up from the first.

    Examples
    --------
    >>> palettes(".so { --so-paper: #fff; --so-text: #000; } @media print { .so { --so-text: #111; } }")
    [{'paper': '#fff', 'text': '#000'}, {'paper': '#fff', 'text': '#111'}]
    """
    blocks = [
        dict(re.findall(r"--so-(\w+):\s*(#[0-9a-fA-F]{3,6})", block)) for block in re.findall(r"\{([^{}]*)\}", css)
    ]
    named = [block for block in blocks if block]
    return [{**named[0], **block} for block in named]


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
