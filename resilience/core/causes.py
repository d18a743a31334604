"""Turn judged services into one cause, with the evidence for and against it, and what else is possible.

The rules stand in order; a service is explained by the first that fits, and its own fault stays in the evidence.

A cause is worth naming when it changes what to do first: five services behind one dead VPC connector are one call to
make, not five. The order runs from our own machine over the network to the single service, so that what explains more
is asked first. What the rules found is then ranked, and the first is the cause.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from resilience.core.kind import Role, is_authentication
from resilience.core.records import (
    Cause,
    CauseName,
    ConnectivityResult,
    ConnectivityStatus,
    FaultCode,
    Observation,
    Phase,
)
from resilience.core.settings import Service
from resilience.core.words import fault_phrase, fault_word

C = FaultCode
_LOST = frozenset({C.TCP_TIMEOUT, C.TCP_NO_ROUTE, C.TCP_HOST_UNREACH})
_UNRESOLVED = frozenset({C.DNS_TIMEOUT, C.DNS_TEMPFAIL})
_NO_NETWORK = _LOST | _UNRESOLVED
_SILENT_TARGET = _NO_NETWORK | {C.DNS_NXDOMAIN, C.DNS_NODATA}
"""A control target that is not even found: a resolver of a closed network answers for no outside name."""
_GATEWAY = frozenset({C.APP_UPSTREAM, C.APP_OVERLOAD})
_SYMPTOM = frozenset(
    {C.APP_UPSTREAM, C.APP_OVERLOAD, C.APP_ERROR, C.APP_BAD_BODY, C.APP_STARTING, C.PROTO_SILENT, C.APP_SLOW}
)
_CUT = frozenset({C.PROTO_SILENT, C.PROTO_CLOSED, C.PROTO_RESET, C.APP_PROXY_NOT_READY})
_DATABASE_LOST = (_LOST - {C.TCP_HOST_UNREACH}) | (_CUT - {C.PROTO_RESET})
"""What a database shows behind a dead connector: packets lost, or a proxy that accepts and is silent or closes.

A host reported unreachable, and a reset, come from something nearer than the connector.
"""
_DISTRUST = frozenset({C.TLS_EXPIRED, C.TLS_UNKNOWN_CA, C.TLS_SELF_SIGNED, C.TLS_NOT_YET_VALID})
_OURS = (CauseName.THIS_MACHINE, CauseName.STAGING_OR_THIS_MACHINE)
"""While these may hold, nothing else that was found can be believed."""
LOOPBACK_CHECK = "loopback"
"""Name of the control observation of this process connecting to itself."""

WORKAROUND_1278 = (
    "ISSUE_1278_WORKAROUND_ENABLED=true VPC_CONNECTOR_BYPASS_MODE=true CLOUD_SQL_FALLBACK_MODE=true "
    "DATABASE_MODE=local POSTGRES_HOST=localhost POSTGRES_PORT=5435"
)
"""The guide's variables for this issue; `resilience apply` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the rules look at. `left` are the unwell services that no rule before has explained.

    `asked` are the services that were probed, `answering` those of them whose host was reached. A host on the deny
    list was not asked, and so is no evidence for or against anything.
    """

    services: Mapping[str, Service]
    results: tuple[ConnectivityResult, ...]
    controls: tuple[Observation, ...] = ()
    left: tuple[ConnectivityResult, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def asked(self) -> tuple[ConnectivityResult, ...]:
        """The services that were probed: configured, and not on the deny list."""
        return tuple(
            r
            for r in self.results
            if r.status is not ConnectivityStatus.NOT_CONFIGURED and r.fault is not C.DENIED_HOST
        )

    @property
    def answering(self) -> tuple[ConnectivityResult, ...]:
        """Services whose host was reached, well or not.

        A refused connection counts: the host itself said no, so the way there is open.
        """
        return tuple(r for r in self.asked if r.phases.tcp_s is not None or r.fault is C.TCP_REFUSED)

    def has(self, result: ConnectivityResult, role: Role) -> bool:
        """Whether a service of this kind plays this role."""
        return role in self.services[result.name].kind.roles


Rule = Callable[[Scene], Iterable[Cause]]


def find_causes(
    services: Sequence[Service], results: Sequence[ConnectivityResult], controls: Sequence[Observation] = ()
) -> tuple[Cause, ...]:
    """Return what the rules found, the cause first; every unwell service ends up in exactly one.

    A rule may yield a cause that stands already with more services in it (`dependency` adds symptoms to a cause that
    an earlier rule named): the new one takes the old one's place, known by its name and its first service.
    """
    scene = Scene(
        services={s.name: s for s in services},
        results=tuple(results),
        controls=tuple(controls),
        left=tuple(r for r in results if r.fault is not None and r.fault is not C.DENIED_HOST),
    )
    for rule in RULES:
        for cause in rule(scene):
            merged = tuple(
                c for c in scene.causes if c.services[:1] != cause.services[:1] or c.cause is not cause.cause
            )
            scene = replace(
                scene, causes=(*merged, cause), left=tuple(r for r in scene.left if r.name not in cause.services)
            )
    return _ranked(scene)


def _ranked(scene: Scene) -> tuple[Cause, ...]:
    """Return the causes by what they explain: this machine's own first, then most critical services, then most services.

    Two that explain as much stay in the order of the rules, from the widest cause to a service alone. As everybody reads
    the first one only, it says itself which services it leaves unexplained.
    """
    critical = {r.name for r in scene.results if r.critical}

    def weight(cause: Cause) -> tuple[bool, int, int]:
        return cause.cause not in _OURS, -len(critical.intersection(cause.services)), -len(cause.services)

    ranked = sorted(scene.causes, key=weight)
    found = {r.name: r for r in scene.results}
    rest = [found[name] for cause in ranked[1:] for name in cause.services if name in found]
    told = [f"it does not explain {r.name} ({fault_phrase(r)})" for r in rest if r.fault]
    return tuple(
        replace(cause, also_possible=True) if place else replace(cause, against=(*cause.against, *told))
        for place, cause in enumerate(ranked)
    )


# --- the rules, in order


def own_process(scene: Scene) -> Iterator[Cause]:
    """This process cannot even connect to itself: whatever the probes found says nothing about staging."""
    if any(c.name == LOOPBACK_CHECK and c.fault is not None for c in scene.controls):
        yield Cause(
            cause=CauseName.THIS_MACHINE,
            services=_names(scene.left),
            evidence=("this process cannot connect to itself on 127.0.0.1", *_own(scene.left)),
            next="look at this machine first (load, open files: ulimit -n); nothing is known about staging",
        )


def control_targets(scene: Scene) -> Iterator[Cause]:
    """Nothing off this machine answers, nor do the control targets, which share nothing with staging: we are offline.

    A target whose name is not even found counts as silent: the resolver of a closed network answers for no outside
    name. One target that answers is enough to rule this out.
    """
    lost, _ = _cut_off(scene)
    targets = _targets(scene)
    silent = [c for c in targets if c.fault is not None and c.fault.code in _SILENT_TARGET]
    if lost and targets and len(silent) == len(targets):
        yield _offline(lost, [f"control target {c.endpoint}: {c.fault.code.value}" for c in silent if c.fault])


def no_route(scene: Scene) -> Iterator[Cause]:
    """All off this machine is lost and our own kernel has no route: only this machine can say so of itself."""
    lost, every = _cut_off(scene)
    if every and not _targets(scene) and any(r.fault is C.TCP_NO_ROUTE for r in lost):
        yield _offline(lost, ["the kernel of this machine has no route (network is unreachable)"])


def staging_or_this_machine(scene: Scene) -> Iterator[Cause]:
    """All off this machine timed out and there is no control target: staging and our own network look the same.

    Here the honest answer is "cannot tell": without `[control] targets` nothing outside of staging was asked, and a
    time-out looks the same from both sides. The statuses stay unavailable.
    """
    lost, every = _cut_off(scene)
    if not every or _targets(scene) or not any(r.fault in _LOST for r in lost):
        return
    networks = {scene.services[r.name].network for r in lost}
    shared = f" (all on network {networks.pop()!r})" if len(networks) == 1 and "" not in networks else ""
    yield Cause(
        cause=CauseName.STAGING_OR_THIS_MACHINE,
        services=_names(lost),
        evidence=(f"all {len(lost)} services off this machine timed out{shared}, none answered", *_own(lost)),
        next="cannot tell staging from this machine: set [control] targets in the configuration, or try by hand "
        "something outside of staging: curl -sSI --max-time 5 URL; ip route; VPN on?",
    )


def _cut_off(scene: Scene) -> tuple[list[ConnectivityResult], bool]:
    """Return the unexplained services off this machine that no packet reached, and whether they are all there are.

    None where a single one was reached: then our own network works.
    """
    away = [r for r in scene.asked if _off_machine(r, scene)]
    if any(r in scene.answering for r in away):
        return [], False
    lost = [r for r in away if r.fault in _NO_NETWORK and r in scene.left]
    return lost, bool(lost) and len(lost) == len(away)


def _targets(scene: Scene) -> list[Observation]:
    return [c for c in scene.controls if c.name != LOOPBACK_CHECK]


def _offline(lost: Sequence[ConnectivityResult], evidence: Sequence[str]) -> Cause:
    return Cause(
        cause=CauseName.THIS_MACHINE,
        services=_names(lost),
        evidence=(*evidence, *_own(lost)),
        next="this machine is offline, so nothing is known about staging: connect the network or VPN "
        "(ip route; nmcli), then: resilience assess",
    )


def dns_resolver(scene: Scene) -> Iterator[Cause]:
    """Two names or more that the resolver does not answer for.

    One name alone may be mistyped or its zone missing; two different ones have nothing in common but the resolver.
    Names that did resolve are told as evidence, as they speak for a partial outage of the resolver.
    """
    unresolved = [r for r in scene.left if r.fault in _UNRESOLVED]
    if len({_host(r) for r in unresolved}) >= 2:
        fine = [
            r
            for r in scene.asked
            if r.phases.dns_s is not None and not _literal(_host(r)) and r.fault not in _UNRESOLVED
        ]
        also = [f"{len(fine)} other names did resolve"] if fine else []
        yield Cause(
            cause=CauseName.DNS_RESOLVER,
            services=_names(unresolved),
            evidence=(f"{len({_host(r) for r in unresolved})} names are not resolved", *also, *_own(unresolved)),
            next=f"cat /etc/resolv.conf; dig {_host(unresolved[0])}; restart the VPN or tell who runs the resolver",
        )


def issue_1278(scene: Scene) -> Iterator[Cause]:
    """The guide's issue: the database cannot be reached, the backend says 502 or 503, and others answer.

    Where another service of the database's network is reached, the connector works, so the database itself is ill and
    the backend its symptom. Other lost services of that network join the cause.
    """
    databases = [r for r in scene.left if scene.has(r, Role.CLOUD_SQL) and r.fault in _DATABASE_LOST]
    backends = [r for r in scene.left if scene.has(r, Role.HTTP_FRONT) and _is_gateway_answer(r)]
    if not databases or not backends:
        return
    networks = {_network(scene.services[r.name], r) for r in databases} - {""}
    beside = _on_networks(scene, networks, but=[*databases, *backends])
    if any(r in scene.answering for r in beside):
        return
    explained = [*databases, *(r for r in beside if r in scene.left and r.fault in _LOST), *backends]
    unknown = "no network is declared for the database: whether others behind the same connector answer is not known"
    others = [r for r in scene.answering if r not in explained]
    answer = _reached(others) if others else "the backend itself answered, so the way to staging is open"
    yield Cause(
        cause=CauseName.VPC_CONNECTOR,
        services=_names(explained),
        evidence=(
            "the database cannot be reached, the backend answers 502 or 503: the guide's issue #1278",
            answer,
            *_own(explained),
        ),
        next="gcloud compute networks vpc-access connectors list (state must be READY), gcloud sql instances list "
        f"(RUNNABLE); meanwhile: resilience apply, which sets {WORKAROUND_1278}",
        issue="#1278",
        against=() if beside else (unknown if not networks else "no other service of its network was asked",),
    )


def _on_networks(
    scene: Scene, networks: Collection[str], *, but: Collection[ConnectivityResult]
) -> list[ConnectivityResult]:
    """Return the services that were probed on these networks, without those of `but`."""
    return [r for r in scene.asked if r not in but and _network(scene.services[r.name], r) in networks]


def _is_gateway_answer(result: ConnectivityResult) -> bool:
    """Whether a backend answers in the name of something behind it: 502, 503 or 504."""
    return result.fault in _GATEWAY and result.found.startswith(("status 502", "status 503", "status 504"))


def _reached(others: Sequence[ConnectivityResult]) -> str:
    """Say by what the way to staging is known to be open; who refuses a connection is reached, yet does not answer."""
    refused = [r for r in others if r.fault is C.TCP_REFUSED]
    answered = [r for r in others if r not in refused]
    said = [f"{', '.join(_names(answered))} answered"] if answered else []
    said += [f"{', '.join(_names(refused))} refused at once, so the way there is open"] if refused else []
    return "; ".join(said)


def vpc_connector(scene: Scene) -> Iterator[Cause]:
    """All services of one network are lost while others answer.

    The network is the declared one, else the private range of the address. All of its services must be lost and at
    least one service elsewhere must have been reached, else our own network would explain it as well. A network of
    one service is named too, with the remark that its host itself may be dead.
    """
    groups: dict[str, list[ConnectivityResult]] = {}
    for result in scene.asked:
        network = _network(scene.services[result.name], result)
        if network:
            groups.setdefault(network, []).append(result)
    for network, members in groups.items():
        lost = [r for r in members if r.fault in _LOST and r in scene.left]
        others = [r for r in scene.answering if r not in members]
        if not lost or len(lost) < len(members) or not others:
            continue
        alone = ["it is the only service of this network: its host itself may be dead"] if len(lost) == 1 else []
        yield Cause(
            cause=CauseName.VPC_CONNECTOR,
            services=_names(lost),
            evidence=(
                f"all {len(lost)} services of network {network} are lost, {_reached(others)}"
                if len(lost) > 1
                else f"{lost[0].name} on network {network} is lost, {_reached(others)}",
                *_own(lost),
            ),
            next="gcloud compute networks vpc-access connectors list (state must be READY); from here: "
            f"ip route get {_host(lost[0])}; is the VPN on?",
            issue="#1278" if any(scene.has(r, Role.CLOUD_SQL) for r in lost) else "",
            against=tuple(alone),
        )


def cloud_sql_proxy(scene: Scene) -> Iterator[Cause]:
    """A database on loopback or a unix socket accepts and says nothing: the Auth Proxy cannot reach the instance.

    The proxy listens before it can reach the instance: a client sees the connection accepted and nothing after it,
    for up to 30 s, and then a close. So TCP alone looks well here.
    """
    for result in scene.left:
        local = result.endpoint.startswith("/") or _is_loopback(_host(result)) or result.fault is C.APP_PROXY_NOT_READY
        if scene.has(result, Role.CLOUD_SQL) and local and result.fault in _CUT:
            yield Cause(
                cause=CauseName.CLOUD_SQL_PROXY,
                services=(result.name,),
                evidence=(f"{result.endpoint} accepts connections on this machine", *_own([result])),
                next="read the Cloud SQL Auth Proxy's log for 'failed to connect to instance' and 'dial tcp …: i/o timeout'"
                "; then: gcloud sql instances list; curl -i http://localhost:9090/readiness where health checks are on",
            )


def dependency(scene: Scene) -> Iterator[Cause]:
    """A service answers 5xx and one that it needs is down: the needed one is the cause, the other a symptom.

    The order of blame follows `depends_on` to the last service that is unwell. A database that Cloud SQL may run is
    never a symptom. Where an earlier rule has explained the root, the symptoms join that cause instead of making a
    new one.
    """
    fault = {r.name: r for r in scene.results if r.fault is not None}
    roots: dict[str, list[ConnectivityResult]] = {}
    for result in scene.left:
        if result.fault not in _SYMPTOM | {C.APP_SHUTDOWN, C.PROTO_CLOSED} or scene.has(result, Role.CLOUD_SQL):
            continue
        root = _deepest(result.name, scene.services, fault)
        if root is not None:
            roots.setdefault(root, []).append(result)
    for root, children in roots.items():
        children = [child for child in children if child.name != root]
        explained = next((c for c in scene.causes if root in c.services), None)
        line = [f"{child.name} needs {root} and answers {fault_word(child)}" for child in children if child.fault]
        if explained is not None:
            yield replace(
                explained,
                services=tuple(dict.fromkeys((*explained.services, *_names(children)))),
                evidence=(*explained.evidence, *line, *_own(children)),
            )
        else:
            yield Cause(
                cause=CauseName.DEPENDENCY,
                services=(root, *_names(children)),
                evidence=(*line, *_own([fault[root], *children])),
                next=f"{root} first, the others are its symptoms: {fault[root].hint}",
            )


def _deepest(name: str, services: Mapping[str, Service], fault: Mapping[str, ConnectivityResult]) -> str | None:
    """Return the unwell service at the end of the chain of needs, or None where all that is needed is well.

    A service that is only slow does not end another one's answers, so the chain does not go through it.
    """
    root, current, visited = None, name, {name}
    while True:
        unwell = [
            need
            for need in _edges(services[current], services)
            if need in fault and need in services and need not in visited and fault[need].fault is not C.APP_SLOW
        ]
        if not unwell:
            return root
        current = root = unwell[0]
        visited.add(current)


def _edges(service: Service, services: Mapping[str, Service]) -> tuple[str, ...]:
    """Return what a service needs: as declared, or as the guide's services do where no service declares anything."""
    if service.depends_on or any(s.depends_on for s in services.values()):
        return service.depends_on
    return next((known.needs for known in service.kind.templates if known.name == service.name), ())


def authentication(scene: Scene) -> Iterator[Cause]:
    """A service refuses credentials and the authentication service it needs is down.

    It takes both: credentials refused beside a healthy authentication service mean a wrong secret, which is a matter
    of that service alone. Which service authenticates is told by the words of its name; see
    `core.kind.is_authentication`.
    """
    down = {
        r.name: r
        for r in scene.results
        if r.fault is not None and is_authentication(r.name) and r.fault is not C.APP_SLOW
    }
    for name, result in down.items():
        refusing = [
            r
            for r in scene.left
            if r.fault is C.APP_AUTH and r.name != name and name in _edges(scene.services[r.name], scene.services)
        ]
        if refusing:
            yield Cause(
                cause=CauseName.AUTHENTICATION,
                services=(name, *_names(refusing)),
                evidence=(
                    f"{', '.join(_names(refusing))} refuse credentials and {name} is down",
                    *_own([result, *refusing]),
                ),
                next=f"{name} first: {result.hint}",
            )


def clock_or_ca(scene: Scene) -> Iterator[Cause]:
    """Every TLS service has a certificate that is not believed: our clock, or a proxy that opens TLS.

    One certificate that is not believed may be that server's. Two or more, without a single TLS handshake that
    succeeded, have only this machine in common.
    """
    distrusted = [r for r in scene.left if r.fault in _DISTRUST]
    trusted = [r for r in scene.asked if r.phases.tls_s is not None]
    if len(distrusted) >= 2 and not trusted:
        yield Cause(
            cause=CauseName.CLOCK_OR_CA,
            services=_names(distrusted),
            evidence=(f"none of {len(distrusted)} certificates is believed here", *_own(distrusted)),
            next="date -u (is this machine's clock right?); "
            f"openssl s_client -connect {distrusted[0].endpoint} </dev/null | openssl x509 -noout -issuer "
            "(a corporate proxy's name? then set tls_ca to its CA)",
        )


def single_service(scene: Scene) -> Iterator[Cause]:
    """What is left is unwell by itself."""
    for result in scene.left:
        yield Cause(
            cause=CauseName.SINGLE_SERVICE,
            services=(result.name,),
            evidence=tuple(_own([result])),
            next=result.hint,
        )


RULES: tuple[Rule, ...] = (
    own_process,
    control_targets,
    no_route,
    staging_or_this_machine,
    dns_resolver,
    issue_1278,
    vpc_connector,
    cloud_sql_proxy,
    authentication,
    dependency,
    clock_or_ca,
    single_service,
)


# --- what the rules ask


def _names(results: Iterable[ConnectivityResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.name for r in results))


def _own(results: Iterable[ConnectivityResult]) -> list[str]:
    """Each service's own evidence, which no shared cause replaces.

    One line a service: endpoint, fault, phase, seconds. It is repeated under the shared cause, so that a wrong guess
    of ours can be seen through.
    """
    lines = []
    for r in results:
        phase = f" in phase {r.phase.value}" if isinstance(r.phase, Phase) else ""
        took = f" after {r.response_time_s:.3f} s" if r.response_time_s is not None else ""
        never = "; never yet reached from this host and network (VPN? tunnel?)" if r.never_reached else ""
        lines.append(f"{r.name} ({r.endpoint}): {r.fault.value if r.fault else r.status.value}{phase}{took}{never}")
    return lines


def _host(result: ConnectivityResult) -> str:
    """Return the host of an endpoint, without port and brackets; of a unix socket its path."""
    return result.endpoint if result.endpoint.startswith("/") else result.endpoint.rpartition(":")[0].strip("[]")


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _literal(host)
    return address.is_loopback if address else host.lower() == "localhost"


def _off_machine(result: ConnectivityResult, scene: Scene) -> bool:
    """Whether this machine's network decides about it; a declared network does for loopback too (tunnels, drills)."""
    if result.endpoint.startswith("/"):
        return False
    return bool(scene.services[result.name].network) or not _is_loopback(_host(result))


_PRIVATE = tuple(
    ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def _network(service: Service, result: ConnectivityResult) -> str:
    """The declared network, else the private range the address lies in.

    The ranges are those of RFC 1918, of RFC 6598 (100.64.0.0/10) and of RFC 4193 (fc00::/7). A host that is given by
    name is in none: names are not looked up here.
    """
    if service.network:
        return service.network
    address = _literal(_host(result))
    return next((str(n) for n in _PRIVATE if address is not None and address in n), "")
