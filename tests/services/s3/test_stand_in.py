"""moto's server stands in: up with the bucket of the env file, used by boto3, dead, and gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.services.s3.stand_in import STAND_INS
from tests.kits.kind_kit import code_of, judged, look, of_kind
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not STAND_INS.found()[1], reason="no moto_server: pip install 'resilience-runbook[s3]'")
BOTO = """
import boto3, sys
client = boto3.client("s3", endpoint_url=sys.argv[1], aws_access_key_id="KEY", aws_secret_access_key="SECRET",
                      region_name="us-east-1")
client.put_object(Bucket="bucket", Key="a/b.txt", Body=b"hello")
print(client.get_object(Bucket="bucket", Key="a/b.txt")["Body"].read().decode())
"""


async def test_it_has_the_bucket_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("s3", f"http://KEY:SECRET@127.0.0.1:{port}/bucket")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "wheel")
    assert "any key" in found.gaps[0]
    assert (await judged(one)).status is ConnectivityStatus.AVAILABLE
    other = replace(one, url=Secret(f"http://KEY:SECRET@127.0.0.1:{port}/another"))
    assert code_of(await look(other)) is FaultCode.APP_NO_DB

    # boto3 lies where moto does, which needs it.
    python = str(Path(STAND_INS.found()[1]).with_name("python3"))
    told = subprocess.run(
        [python, "-c", BOTO, f"http://127.0.0.1:{port}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.stdout == "hello\n", told.stderr

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    assert (await local.start([one], settings))[0].ready
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)
