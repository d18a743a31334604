"""What keeps the plug-ins of this environment out of a team's pytest, which starts in 0.2 s instead of 0.6."""

from __future__ import annotations

NO_XDIST = "-p no:xdist -p no:xdist.looponfail"
ALONE = f"-p no:asyncio -p no:hypothesispytest {NO_XDIST} -p no:anyio -p no:timeout -p no:valkey -p no:platformdirs"
"""Our own plug-in is found as theirs are, by its entry point, so that switching all of them off is no way."""
