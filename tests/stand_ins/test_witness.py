"""The port of a stand-in is looked at with the kind's own probe, and whose process has it is told by its ancestors."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from resilience.core.errors import StandInError
from resilience.core.records import FaultCode
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.registry import KINDS
from resilience.stand_ins import witness
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, listening


def tcp(port: int) -> Service:
    return Service(name="broker", kind=KINDS["tcp"], local=Secret(f"tcp://127.0.0.1:{port}"), timeout_s=2.0)


async def test_it_sees_at_the_stand_in_what_the_probe_sees() -> None:
    with listening() as port:
        assert (await witness.look(tcp(port))).fault is None
    seen = await witness.look(tcp(free_ports(1)[0]))
    assert seen.fault is not None
    assert seen.fault.code is FaultCode.TCP_REFUSED


def test_a_port_is_refused_where_another_stand_in_or_its_child_has_it() -> None:
    with listening() as port:
        witness.refuse_other(tcp(port), port, others={})
        witness.refuse_other(tcp(port), port, others={"http-1": 2**22 + 1})
        for above in (os.getpid(), os.getppid()):
            with pytest.raises(StandInError, match=f"port {port} is taken by .* of another stand-in: http-1"):
                witness.refuse_other(tcp(port), port, others={"http-1": above})


def test_the_ancestors_of_a_process_begin_with_its_parent() -> None:
    assert witness.ancestors(os.getpid())[0] == os.getppid()
    assert witness.ancestors(None) == witness.ancestors(2**22 + 1) == []


def test_what_came_of_a_process_is_found_with_itself_first() -> None:
    with subprocess.Popen(("sh", "-c", "sleep 60 & wait")) as shell:
        try:
            assert eventually(lambda: len(witness.descendants(shell.pid)) == 2)
            found = witness.descendants(shell.pid)
            assert found[0] == shell.pid
            assert shell.pid in witness.ancestors(found[1])
        finally:
            for pid in reversed(witness.descendants(shell.pid)):
                os.kill(pid, signal.SIGKILL)
    assert witness.descendants(2**22 + 1) == [2**22 + 1]


def test_another_that_has_the_port_is_refused_whatever_the_command_has() -> None:
    with listening() as port, pytest.raises(StandInError, match="of another stand-in: http-1"):
        witness.refuse_other(tcp(port), port, others={"http-1": os.getppid()}, own=2**22 + 1)
