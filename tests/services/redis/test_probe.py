"""Table 3 of the diagnosis: Redis, on real servers of this machine and with byte-exact replies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from resilience.core.records import ConnectivityStatus, FaultCode, Phase
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look, result
from tests.kits.servers.redis import Redis, binary

C, RD, S = FaultCode, ServiceType.REDIS, ConnectivityStatus
real = pytest.mark.skipif(binary() is None, reason="no Redis or Valkey on this machine")


@contextlib.contextmanager
def redis(*options: str) -> Iterator[Redis]:
    server = Redis(*options)
    try:
        yield server
    finally:
        server.stop()


@real
async def test_a_well_server_with_password_role_and_write() -> None:
    with redis("--requirepass", "s#cret") as server:
        seen = await look(RD, server.url(":s%23cret@"), write_check=True)
        assert seen.fault is None
        assert seen.facts["role"] == "primary"
        assert seen.facts["writes"] == "ok"
        assert seen.facts["server_version"]
        assert seen.facts["started"], "what tells one start of the server from another"
        wrong = await look(RD, server.url(":wrong@"))
        none = await look(RD, server.url())
        unknown = await look(RD, server.url("somebody:x@"))
    for refused in (wrong, none, unknown):
        assert refused.fault is not None
        assert (refused.fault.code, refused.fault.retryable) == (C.APP_AUTH, False)
    assert wrong.fault is not None
    assert wrong.response_time_s < 2, "no retries"


@real
async def test_acl_too_tight_for_ping_write_and_info() -> None:
    with redis() as server:
        server.say("ACL", "SETUSER", "noping", "on", ">x", "~*", "+@all", "-ping")
        server.say("ACL", "SETUSER", "noset", "on", ">x", "~*", "+@all", "-set")
        server.say("ACL", "SETUSER", "noinfo", "on", ">x", "~*", "+@all", "-info")
        noping = await look(RD, server.url("noping:x@"))
        noset = await look(RD, server.url("noset:x@"), write_check=True)
        noinfo = await look(RD, server.url("noinfo:x@"))
    assert noping.fault is not None
    assert noping.fault.code is C.APP_AUTH
    assert noset.fault is not None
    assert noset.fault.code is C.APP_AUTH
    assert result(noset, RD, server.url()).status is S.DEGRADED
    assert noinfo.fault is None
    assert "not permitted" in noinfo.facts["info"]


@real
async def test_max_clients() -> None:
    with redis("--maxclients", "1") as server:
        async with asyncio.timeout(20):
            while True:  # the connection that told us the server is up may be the one it still counts
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"PING\r\n")
                if (await reader.readline()).startswith(b"+PONG"):
                    break
                writer.close()
        try:
            seen = await look(RD, server.url())
        finally:
            writer.close()
    assert seen.fault is not None
    assert seen.fault.code is C.APP_OVERLOAD


@real
async def test_out_of_memory_reads_well_and_is_degraded() -> None:
    with redis("--maxmemory", "500kb", "--maxmemory-policy", "noeviction") as server:
        seen = await look(RD, server.url(), write_check=True)
        plain = await look(RD, server.url())
    assert seen.fault is not None
    assert seen.fault.code is C.APP_OVERLOAD
    assert result(seen, RD, server.url()).status is S.DEGRADED
    judged = result(plain, RD, server.url())
    assert (judged.status, judged.fault) == (S.DEGRADED, C.APP_OVERLOAD)
    assert "maxmemory" in judged.detail


@real
async def test_a_replica_refuses_writes_and_masterdown_refuses_all() -> None:
    with (
        redis("--repl-diskless-sync-delay", "0") as primary,
        redis("--replicaof", "127.0.0.1", str(primary.port)) as replica,
    ):
        for _ in range(300):
            if b"master_link_status:up" in replica.say("INFO", "replication"):
                break
            await asyncio.sleep(0.02)
        written = await look(RD, replica.url(), write_check=True)
        plain = await look(RD, replica.url())
        primary.stop()
        replica.say("CONFIG", "SET", "replica-serve-stale-data", "no")
        for _ in range(300):
            down = await look(RD, replica.url())
            if down.fault is not None:
                break
            await asyncio.sleep(0.02)
    assert written.fault is not None
    assert written.fault.code is C.APP_READONLY
    judged = result(plain, RD, replica.url())
    assert (judged.status, judged.fault, judged.infrastructure) == (S.DEGRADED, C.APP_READONLY, True)
    assert down.fault is not None
    assert down.fault.code is C.APP_REPLICA_DOWN


@real
async def test_paused_clients_are_silence() -> None:
    with redis() as server:
        server.say("CLIENT", "PAUSE", "5000", "ALL")
        seen = await look(RD, server.url(), timeout_s=0.4)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.FIRST_BYTE)


@real
async def test_a_busy_script_is_overload_after_its_threshold() -> None:
    with redis("--busy-reply-threshold", "1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
        await writer.drain()
        try:
            for _ in range(100):
                seen = await look(RD, server.url(), timeout_s=1.0)
                if seen.fault is not None:
                    break
                await asyncio.sleep(0.02)
            server.say("SCRIPT", "KILL")
            await asyncio.wait_for(reader.read(200), 5)
        finally:
            writer.close()
    assert seen.fault is not None
    assert seen.fault.code is C.APP_OVERLOAD


@real
async def test_misconf_after_a_failed_save() -> None:
    with redis() as server:
        server.say("CONFIG", "SET", "save", "3600 1")
        (server.folder / "dump.rdb").mkdir()  # rename onto a folder fails, for root too
        (server.folder / "dump.rdb" / "x").touch()
        server.say("SET", "a", "b")
        server.say("BGSAVE")
        for _ in range(200):
            if b"rdb_last_bgsave_status:err" in server.say("INFO", "persistence"):
                break
            await asyncio.sleep(0.02)
        seen = await look(RD, server.url(), write_check=True)
    assert seen.fault is not None
    assert seen.fault.code is C.APP_READONLY
    assert "MISCONF" in seen.fault.detail


@real
async def test_cluster_without_slots_is_down_for_writes() -> None:
    with redis("--cluster-enabled", "yes", "--cluster-port", str(fakes.refused())) as server:
        seen = await look(RD, server.url(), write_check=True)
    assert seen.fault is not None
    assert seen.fault.code is C.APP_CLUSTER_DOWN


REPLIES = {
    "NOAUTH": (b"-NOAUTH HELLO must be called with the client already authenticated\r\n", C.APP_AUTH),
    "WRONGPASS": (b"-WRONGPASS invalid username-password pair\r\n", C.APP_AUTH),
    "NOPERM": (b"-NOPERM this user has no permissions\r\n", C.APP_AUTH),
    "LOADING": (b"-LOADING Redis is loading the dataset in memory\r\n", C.APP_STARTING),
    "max clients": (b"-ERR max number of clients reached\r\n", C.APP_OVERLOAD),
    "BUSY": (b"-BUSY Redis is busy running a script.\r\n", C.APP_OVERLOAD),
    "MASTERDOWN": (b"-MASTERDOWN Link with MASTER is down\r\n", C.APP_REPLICA_DOWN),
    "READONLY": (b"-READONLY You can't write against a read only replica.\r\n", C.APP_READONLY),
    "MISCONF": (b"-MISCONF Errors writing to the AOF file\r\n", C.APP_READONLY),
    "OOM": (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", C.APP_OVERLOAD),
    "CLUSTERDOWN": (b"-CLUSTERDOWN The cluster is down\r\n", C.APP_CLUSTER_DOWN),
    "MOVED": (b"-MOVED 3999 127.0.0.1:6381\r\n", C.APP_CLUSTER_MOVED),
    "TRYAGAIN": (b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", C.APP_CLUSTER_TRYAGAIN),
    "DENIED": (b"-DENIED Redis is running in protected mode\r\n", C.APP_AUTH),
    "something new": (b"-NEWCODE what is this\r\n", C.APP_ERROR),
    "ERR": (b"-ERR what is this\r\n", C.APP_ERROR),
}


@pytest.mark.parametrize("command", [b"PING", b"SET"], ids=["ping", "write check"])
@pytest.mark.parametrize("word", REPLIES)
async def test_a_servers_first_word_is_its_code(word: str, command: bytes) -> None:
    reply, code = REPLIES[word]
    answers = {b"PING": b"+PONG\r\n", b"INFO": fakes.REDIS_INFO} | {command: reply}
    async with fakes.serve(fakes.redis_says(answers)) as port:
        seen = await look(RD, f"redis://127.0.0.1:{port}/0", write_check=True)
    assert seen.fault is not None
    assert seen.fault.code is code
    assert reply.decode().split()[-1] in seen.fault.detail


async def test_something_that_says_pong_to_anything_is_no_redis() -> None:
    async with fakes.serve(fakes.redis_says({b"*": b"+PONG\r\n"})) as port:
        seen = await look(RD, f"redis://127.0.0.1:{port}/0")
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG


INFOS = {
    "loading": ("role:master\r\nloading:1\r\n", C.APP_STARTING),
    "link down": ("role:slave\r\nmaster_link_status:down\r\n", C.APP_REPLICA_DOWN),
    "behind": (
        "role:slave\r\nmaster_link_status:up\r\nslave_read_only:0\r\nmaster_last_io_seconds_ago:99\r\n",
        C.APP_REPLICA_LAG,
    ),
    "save failed": ("role:master\r\nrdb_last_bgsave_status:err\r\n", C.APP_READONLY),
}


@pytest.mark.parametrize("how", INFOS)
async def test_what_info_says_makes_it_degraded(how: str) -> None:
    info, code = INFOS[how]
    answers = {b"PING": b"+PONG\r\n", b"INFO": fakes.bulk("redis_version:7.2.4\r\n" + info)}
    async with fakes.serve(fakes.redis_says(answers)) as port:
        url = f"redis://127.0.0.1:{port}/0"
        judged = result(await look(RD, url), RD, url)
    assert (judged.status, judged.fault) == (S.DEGRADED, code)
    assert judged.hint


async def test_a_reply_of_ten_megabytes_is_not_kept() -> None:
    async with fakes.serve(fakes.pours(b"$10000000000\r\n", b"x" * 65536)) as port:
        seen = await look(RD, f"redis://127.0.0.1:{port}/0", timeout_s=1.0)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG
    assert "1 MiB" in seen.fault.detail
