"""The pictures of README.md: the first screen of the index and of each report, taken of the sample's packs."""

import argparse
import io
import tempfile
from pathlib import Path

from conftest import ROOT
from PIL import Image
from test_browser import CHROMIUM

from salesops.engine import plan, run

FOLDER = ROOT / "docs" / "pictures"
SCREEN = {"width": 1200, "height": 900}
WIDTH = 800  # of a picture
COLOURS = 64  # a page has few: text, a colour, greys
LARGEST, LARGEST_TOGETHER = 60_000, 600_000  # bytes


def made(folder: Path) -> Path:
    """The quarterly pack of the sample and its Monday report, published in a folder."""
    told: list[str] = []
    for file in sorted((ROOT / "parameters").glob("*ly.yaml")):
        if run.run(plan.Request(root=ROOT, out=folder, parameters=file), told.append):
            raise SystemExit("\n".join(told))
    return folder


def pages(pack: Path) -> dict[str, Path]:
    """The index and each report, by name."""
    found = {path.stem: path for path in sorted((pack / "latest").glob("*.html")) if "." not in path.stem}
    return {"index": pack / "index.html"} | found


def taken(paths: dict[str, Path]) -> dict[str, bytes]:
    """The first screen of each page as a small PNG; the same page gives the same bytes on the same machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport=SCREEN, color_scheme="light", offline=True, reduced_motion="reduce")
        pictures = {}
        for name, path in paths.items():
            page = context.new_page()
            page.goto(path.resolve().as_uri())
            pictures[name] = small(page.screenshot(animations="disabled"))
            page.close()
        browser.close()
    return pictures


def small(screen: bytes) -> bytes:
    """A screen at two thirds of its size, in few colours."""
    whole = Image.open(io.BytesIO(screen)).convert("RGB")
    scaled = whole.resize((WIDTH, WIDTH * whole.height // whole.width), Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    scaled.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--pack", type=Path, help="a pack of the sample that was made before; it is made anew if absent"
    )
    given = options.parse_args().pack
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed: no picture was taken. Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        pictures = taken(pages(given or made(Path(folder))))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name, picture in pictures.items():
        (FOLDER / f"{name}.png").write_bytes(picture)
