"""Six Mondays of the weekly report on the sample, four with a fault: what is there and explained, and who is told.

Prints one line a Monday; ends with exit code 1 where a due report is neither published nor explained, a reader was told
of a failure, or the backfill does not make good what can be made.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psutil

from salesops import cli
from salesops.crm.sample import export
from salesops.engine import mail, publish

ROOT = Path(__file__).parents[1]
REPORT, READER, OWNER = "pipeline_review", "reader@example.com", "owner@example.com"
SCHEDULE = f"""\
weekly:
  parameters: parameters/weekly.yaml
  cron: 0 6 * * 1
  timezone: America/New_York
  source: exports
  owner: {OWNER}
  readers: [{READER}]
  args: [--max-age, 4, --retries, 1]
"""


@contextmanager
def nothing(_: Path) -> Iterator[None]:
    """A Monday like any other."""
    yield


@contextmanager
def export_missing(root: Path) -> Iterator[None]:
    """The export did not arrive."""
    (root / "exports").rename(root / "elsewhere")
    yield
    (root / "elsewhere").rename(root / "exports")


@contextmanager
def kernel_killed(_: Path) -> Iterator[None]:
    """Somebody kills the kernel of the report, and that of every further try."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(2):
            for child in psutil.Process().children(recursive=True):
                if "ipykernel" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    over.set()
    killer.join()


@contextmanager
def disk_full(_: Path) -> Iterator[None]:
    """No room is left when the report is put into its place."""
    with mock.patch.object(publish, "into_place", side_effect=OSError(28, "No space left on device")):
        yield


# The sample's last event is of 30 September: on the last Monday the export has not been renewed for eleven days.
MONDAYS = {
    "2026-09-07": nothing,
    "2026-09-14": export_missing,
    "2026-09-21": kernel_killed,
    "2026-09-28": nothing,
    "2026-10-05": disk_full,
    "2026-10-12": nothing,
}
SUNDAYS = ["2026-09-06", "2026-09-13", "2026-09-20", "2026-09-27", "2026-10-04", "2026-10-11"]


def main() -> int:
    """Replay the month, then make it good."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("notebooks", "parameters", "notes"):
            shutil.copytree(ROOT / name, root / name)
        (root / "parameters" / "schedules.yaml").write_text(SCHEDULE, encoding="utf-8")
        export.write(root / "exports", shape="canonical", size=6000)
        faults = [
            fault for monday, sunday in zip(MONDAYS, SUNDAYS, strict=True) for fault in replayed(root, monday, sunday)
        ]
        span = ["--from", "2026-09-01", "--to", "2026-10-06"]
        code = cli.main(["backfill", "--root", folder, "--schedule", "weekly", *span])
        there = sorted(path.parent.name for path in (root / "reports").glob(f"2*/{REPORT}.html"))
        print(f"after the backfill (exit {code}): published {', '.join(there)}")
        faults += [] if code == 0 and there == SUNDAYS[:5] else ["the backfill did not make good what can be made"]
    print("\n".join(faults) or "every due report was published or explained, and no reader was told of a failure")
    return int(bool(faults))


def replayed(root: Path, monday: str, sunday: str) -> list[str]:
    """Run one Monday and return what is wrong with what it left."""
    out = root / "reports"
    with MONDAYS[monday](root):
        command = ["run", "--root", str(root), "--schedule", "weekly", "--due", f"{monday}T06:00"]
        code = cli.main(command)
    is_there = (out / sunday / f"{REPORT}.html").exists()
    pages = [out / sunday / f"{REPORT}.failed.html", out / "failed" / "weekly.html"]
    explained = [page for page in pages if page.exists()]
    told = [page.with_name(page.name.removesuffix(".html") + ".owner.eml") for page in explained]
    print(f"{monday}: exit {code}, {'published' if is_there else 'not published'}, {len(explained)} failure page(s)")
    is_clear = is_there == (code == 0) and bool(explained) != is_there
    faults = [] if is_clear else [f"{monday}: neither there nor explained"]
    faults += [f"{monday}: owner not told" for path in told if not path.exists() or OWNER not in mail.text(path)]
    mails = [path for path in out.rglob("*.eml") if "not published" in mail.text(path)]
    faults += [f"{monday}: {path.name} tells a reader of a failure" for path in mails if READER in mail.text(path)]
    if not is_there and (out / sunday / f"{REPORT}.eml").exists():
        faults.append(f"{monday}: readers have a mail without a report")
    return faults


if __name__ == "__main__":
    sys.exit(main())
