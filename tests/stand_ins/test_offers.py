"""What could stand in is said without starting or loading anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.kits.stand_in_kit import (
    needs_servers,
)

pytestmark = needs_servers


def test_availability_imports_no_driver_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from tests.test_local_stand_ins_light import services, settings\n"
        "from resilience import stand_ins as local\n"
        "print(all(one.usable for one in local.availability(services(), settings(pathlib.Path(sys.argv[1])))))\n"
        "print(sorted(set(sys.modules) & {'asyncpg', 'redis', 'aiohttp', 'psutil', 'jwt', 'httpx', 'websockets'}))\n"
        "starts = ('own', 'ground', 'containers', 'supervision', 'records', 'lease')\n"
        "print([name for name in starts if f'resilience.stand_ins.{name}' in sys.modules])\n"
        "print(list(pathlib.Path(sys.argv[1]).rglob('data')))\n"
    ).replace("tests.test_local_stand_ins_light", "tests.kits.stand_in_light")
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert told.stdout == "True\n[]\n[]\n[]\n", told.stderr
