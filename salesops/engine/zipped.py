"""Office files are archives: the same content is made the same bytes, and its text can be read."""

import io
import re
import zipfile
from html import unescape
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date an archive can hold
_STAMP = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")


def settle(content: bytes, day: str) -> bytes:
    """An Office file without a clock: dates of its parts fixed, its own dates midnight of a day.

    Files within it, such as the numbers of a chart, are settled too.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as found, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in found.namelist():
            part = zipfile.ZipInfo(name, _EPOCH)
            part.compress_type, part.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            made.writestr(part, _settled(name, found.read(name), day))
    return out.getvalue()


def text(path: Path) -> str:
    """Every word of an Office file, and of the files within it, without its markup."""
    return _text(path.read_bytes())


def _settled(name: str, content: bytes, day: str) -> bytes:
    if name.endswith((".xlsx", ".pptx")):
        return settle(content, day)
    if name == "docProps/core.xml":
        return _STAMP.sub(rb"\g<1>" + f"{day}T00:00:00Z".encode() + rb"\g<3>", content)
    return content


def _text(content: bytes) -> str:
    said = []
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        for name in found.namelist():
            if name.endswith((".xlsx", ".pptx")):
                said.append(_text(found.read(name)))
            elif name.endswith((".xml", ".rels")):
                said.append(unescape(re.sub(r"<[^>]+>", "\n", found.read(name).decode("utf-8"))))
    return "\n".join(said)
