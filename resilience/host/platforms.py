"""Turn the name of this system into whether the runbook works on it, and what is known of that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What is known of a system. `hint` is what to type where it is not enough."""

    name: str
    works: bool
    known: str
    hint: str = ""


def support_of(platform: str, release: str = "") -> Support:
    """Return what is known of a system, by `sys.platform` and the kernel's release.

    Only what was run is said to work. Windows has no fcntl, no process groups and no signals as the lock, the stand-ins
    and the undo need them; WSL 1 translates the kernel's calls and lacks the same.
    """
    if platform.startswith("win") or platform in ("cygwin", "msys"):
        return Support(
            name="Windows",
            works=False,
            known="the lock, the stand-ins and the undo need a POSIX system",
            hint="wsl --install, then in it: pipx install resilience-runbook",
        )
    if platform == "darwin":
        return Support(
            name="macOS",
            works=True,
            known="not tested: stand-ins that lose their parent end by their lease, not at once; cron needs flock and timeout",
        )
    if platform == "linux" and "microsoft" in release.lower():
        two = "wsl2" in release.lower() or release.startswith(("5.", "6."))
        if not two:
            return Support(
                name="WSL 1",
                works=False,
                known="its kernel lacks what keeps stand-ins apart",
                hint="wsl --set-version DISTRIBUTION 2",
            )
        return Support(
            name="WSL 2",
            works=True,
            known="a Linux of its own, not tested; keep the checkout on its own disk, not /mnt/c",
        )
    if platform == "linux":
        return Support(name="Linux", works=True, known="tested")
    return Support(name=platform, works=True, known="not tested")
