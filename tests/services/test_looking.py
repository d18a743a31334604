"""All services are looked at together, in the time of the slowest, and whatever they send costs little."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap

import pytest

from resilience.core.records import FaultCode
from resilience.core.secret import Secret
from resilience.services.looking import ProbeContext, control, loop_is_alive, probe_all
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import service


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_hostile_answers_stay_under_150_mb() -> None:
    """A gzip bomb, ten gigabytes and a thousand dripping servers at once, in a process of their own."""
    done = run("""
        import asyncio, gzip
        from resilience.services.looking import probe_all
        from tests.kits.kinds import ServiceType
        from tests.kits.servers import fakes
        from tests.kits.servers.looking import service

        async def main():
            bomb = fakes.http(200, gzip.compress(b"\\0" * 30_000_000), "Content-Encoding: gzip")
            big = fakes.pours(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10000000000\\r\\n\\r\\n", b"x" * 65536)
            redis = fakes.pours(b"$10000000000\\r\\n", b"x" * 65536)
            drip = fakes.drips(b"HTTP/1.1 200 OK\\r\\n", b"X: y\\r\\n", 0.2)
            async with (
                fakes.serve(fakes.says(bomb)) as a, fakes.serve(big) as b, fakes.serve(drip) as c, fakes.serve(redis) as d
            ):
                urls = [f"http://127.0.0.1:{p}/" for p in [a] * 20 + [b] * 20 + [c] * 1000]
                asked = [service(ServiceType.HTTP, u, timeout_s=2.0) for u in urls]
                asked += [service(ServiceType.REDIS, f"redis://127.0.0.1:{d}/0", timeout_s=2.0)] * 20
                seen = await probe_all(asked)
            slow = sum(o.fault is not None and o.fault.code.value == "proto_slow" for o in seen)
            well = sum(o.fault is None for o in seen)
            # of this program only: ru_maxrss would remember the process that started it
            most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
            print(well, slow, int(most.split()[1]) // 1024)

        asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    well, slow, megabytes = map(int, done.stdout.split())
    assert (well, slow) == (40, 1000)
    assert megabytes < 150


def test_where_few_files_may_be_open_services_wait_for_each_other_and_none_is_called_unwell() -> None:
    pytest.importorskip("resource")
    done = run("""
        import asyncio, resource, subprocess, sys
        from resilience.services.looking import probe_all
        from tests.kits.kinds import ServiceType
        from tests.kits.servers.looking import service

        server = (
            "import asyncio\\n"
            "from tests.kits.servers import fakes\\n"
            "async def main():\\n"
            "    async with fakes.serve(fakes.says(fakes.http(200, b'ok'))) as port:\\n"
            "        print(port, flush=True)\\n"
            "        await asyncio.get_running_loop().run_in_executor(None, input)\\n"
            "asyncio.run(main())"
        )
        child = subprocess.Popen([sys.executable, "-c", server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        port = int(child.stdout.readline())
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 64))
        seen = asyncio.run(probe_all([service(ServiceType.HTTP, f"http://127.0.0.1:{port}/")] * 300))
        child.communicate("\\n")
        print(len(seen), [str(o.fault) for o in seen if o.fault])
    """)
    assert done.stdout.strip() == "300 []", done.stdout + done.stderr


async def test_a_hundred_black_holes_cost_their_deadline_once() -> None:
    with fakes.black_hole() as port:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = await probe_all(
            [service(ServiceType.HTTP, f"http://127.0.0.1:{port}/", timeout_s=0.5) for _ in range(100)]
        )
        took = loop.time() - began
    assert {o.fault.code for o in seen if o.fault} == {FaultCode.TCP_TIMEOUT}
    assert took < 3


async def test_this_process_reaches_itself() -> None:
    assert await loop_is_alive()


def test_given_up_at_any_step_the_look_at_ourselves_leaves_no_socket() -> None:
    """A socket that is left warns where it is collected, which fails this test."""

    async def give_up(steps: int) -> bool:
        looking = asyncio.create_task(loop_is_alive())
        for _ in range(steps):
            await asyncio.sleep(0)
        ended = looking.done()
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        return ended

    ended = [asyncio.run(give_up(steps)) for steps in (*range(20), 100_000)]
    gc.collect()
    assert not ended[0]
    assert ended[-1]


def test_only_what_is_configured_is_imported_and_never_the_heavy_ones() -> None:
    done = run("""
        import asyncio, sys
        from resilience.services.looking import probe_all
        from tests.kits.kinds import ServiceType
        from tests.kits.servers.looking import service

        drivers = ("asyncpg", "redis", "httpx", "websockets", "aiohttp", "pandas", "matplotlib", "IPython", "pydantic")
        plain = service(ServiceType.HTTP, "http://127.0.0.1:9/"), service(ServiceType.WEBSOCKET, "ws://127.0.0.1:9/")
        asyncio.run(probe_all(plain))
        print([name for name in drivers if name in sys.modules])
        asyncio.run(probe_all([service(ServiceType.REDIS, "redis://127.0.0.1:9/0")]))
        print("asyncpg" in sys.modules, "redis.asyncio.connection" in sys.modules, "redis.commands" in sys.modules)
        import redis.asyncio
        print(redis.asyncio.Redis.__name__, redis.Redis.__name__, redis.exceptions.ConnectionError.__name__,
              redis.__version__ > "5")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["[]", "False True False", "Redis Redis ConnectionError True"]


async def test_control_targets_are_connected_to_and_named_by_their_endpoint() -> None:
    async with fakes.serve(fakes.says(fakes.http(404))) as port:
        well, url, dead = await control(
            [f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/", f"127.0.0.1:{fakes.refused()}"]
        )
    assert (well.fault, well.endpoint) == (None, f"127.0.0.1:{port}")
    assert url.fault is None, "any answer proves the way"
    assert dead.fault is not None
    assert dead.fault.code is FaultCode.TCP_REFUSED


async def test_a_stand_in_is_looked_at_by_its_local_url() -> None:
    from resilience.core.secret import Secret
    from resilience.services.looking import ProbeContext, probe
    from tests.kits.servers.looking import service

    async with fakes.serve(fakes.says(fakes.http(200))) as port:
        asked = service(ServiceType.HTTP, "http://staging.invalid/", local=Secret(f"http://127.0.0.1:{port}/"))
        with ProbeContext() as context:
            seen = await probe(asked, context=context, target="stand_in")
    assert seen.fault is None
    assert seen.endpoint == f"127.0.0.1:{port}"


async def test_of_a_thousand_passwords_one_redactor_is_made_not_one_for_each_probe() -> None:
    secrets = [Secret(f"pAss-{number}-w0rd") for number in range(1000)]
    with ProbeContext(secrets=secrets) as context:
        assert context.redactor(["pAss-1-w0rd"]) is context.redactor(["pAss-2-w0rd", ""])
        own = context.redactor(["only-of-this-0ne"])
        assert own is not context.redactor([])
        assert own.text("only-of-this-0ne pAss-7-w0rd") == "*** ***"
