"""All that is known of a service of which no more is known than its host, its port and how it greets, as a record."""

from __future__ import annotations

from resilience.core.kind import Kind, Scheme, Words
from resilience.core.records import FaultCode

KIND = Kind(
    name="tcp",
    title="TCP",
    schemes={"tcp": Scheme()},
    scheme_hint="write its host and port: tcp://broker.staging.example:5672",
    options={"greeting_send": "", "greeting_expect": ""},
    probe="resilience.services.tcp.probe:probe_tcp",
    words={
        FaultCode.PROTO_SILENT: Words(
            cause="it accepts connections and does not greet: the process hangs, or a proxy is still dialling its upstream",
            hint="look by hand: nc -v {host} {port}; does it wait for us to begin? then set greeting_send",
        ),
        FaultCode.PROTO_WRONG: Words(
            cause="something else answers at this port, or the greeting has changed",
            hint="look by hand: nc -v {host} {port}; compare greeting_expect with what comes",
        ),
    },
)
