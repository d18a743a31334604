"""Turn a memcached into what `version` and `stats` say."""

from __future__ import annotations

from resilience.core.plain import start
from resilience.core.records import FaultCode
from resilience.core.settings import Service
from resilience.services.reading import Reading
from resilience.services.wire import ProbeContext, Trace, open_wire, parse

MOST_LINES = 400


async def probe_memcached(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask for the version, then for the statistics; nothing is stored. SASL is not spoken: a server that asks for it says so."""
    address = parse(service.kind, url)
    trace.expected = "VERSION, and statistics"
    wire = await open_wire(service, address, trace, context)
    reading = Reading(wire, "memcached", address.endpoint)
    try:
        wire.write(b"version\r\nstats\r\n")
        await reading.starts(b"VERSION ", b"ERROR", b"SERVER_ERROR", b"CLIENT_ERROR")
        first = (await reading.line()).decode("latin-1")
        if not first.startswith("VERSION "):
            code = FaultCode.APP_AUTH if "auth" in first.lower() else FaultCode.APP_ERROR
            raise reading.refused(code, start(first, 160))
        trace.facts["server_version"] = start(first.removeprefix("VERSION "), 40)
        trace.found = f"version {trace.facts['server_version']}"
        stats = await _stats(reading)
        trace.facts["reads"] = "ok"
        trace.facts["accepting"] = "no" if stats.get("accepting_conns") == "0" else "yes"
        for fact, name in (("connections", "curr_connections"), ("evictions", "evictions")):
            if name in stats:
                trace.facts[fact] = start(stats[name], 20)
    finally:
        wire.abort()


async def _stats(reading: Reading) -> dict[str, str]:
    """Return the statistics by name. Raises Refused for what is none."""
    stats: dict[str, str] = {}
    for _ in range(MOST_LINES):
        line = (await reading.line()).decode("latin-1")
        if line == "END":
            return stats
        word, _, rest = line.partition(" ")
        if word != "STAT":
            raise reading.refused(FaultCode.APP_ERROR, start(line, 160))
        name, _, value = rest.partition(" ")
        stats[name] = value
    raise reading.wrong(f"statistics of more than {MOST_LINES} lines")
