"""Turn moto's server into an S3 with the bucket of the env file, in memory."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.services.http.probe import read_response
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.s3.kind import KIND
from resilience.services.s3.probe import bucket_of, signed
from resilience.services.standing_in import Wanted
from resilience.services.wire import Trace, Wire, parse


class _S3(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        """Return moto's server on PATH, as it may lie in an environment of its own, else beside our interpreter."""
        path = shutil.which("moto_server") or shutil.which("moto_server", path=str(Path(sys.executable).parent))
        return ("wheel", path) if path else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        place = group[0].place
        urls = [one.place.url("http") for one in group]

        async def finish() -> None:
            for url in urls:
                await _make_bucket(url)

        return Program(
            provider="wheel",
            argv=(path, "-H", place.bind, "-p", str(place.port)),
            env={"PYTHONPATH": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(data)},
            finish=finish,
            gaps=("it takes any key, so a wrong one is not noticed", "its objects are gone when it ends"),
        )


async def _make_bucket(url: str) -> None:
    """Make the bucket of this URL; one that is there already is left. Raises StandInError where it cannot be made."""
    address, wire = parse(KIND, url), Wire(Trace(5.0))
    if not (bucket := bucket_of(address)):
        return
    await asyncio.get_running_loop().create_connection(lambda: wire, address.host, address.port)
    try:
        # Made in the region where none need be told in a body; moto answers for every region.
        wire.write(signed(address, "PUT", f"/{bucket}", "", "us-east-1"))
        response = await read_response(wire, address)
    finally:
        wire.abort()
    if response.status not in (200, 409):
        raise StandInError(f"the bucket {bucket} could not be made: HTTP {response.status}.", hint="its log says why")


STAND_INS = _S3()
