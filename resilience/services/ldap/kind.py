"""All that is known of an LDAP directory, as a record: addresses, result codes, clients and stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[int, FaultCode] = {
    3: C.APP_SLOW,
    8: C.APP_AUTH,
    11: C.APP_RATE_LIMIT,
    13: C.TLS_REFUSED,
    32: C.APP_NO_DB,
    48: C.APP_AUTH,
    49: C.APP_AUTH,
    50: C.APP_AUTH,
    51: C.APP_OVERLOAD,
    52: C.APP_SHUTDOWN,
}
"""Result codes (RFC 4511, appendix A), as far as they say something of the server."""
_NAMES: Mapping[int, str] = {
    3: "timeLimitExceeded",
    8: "strongerAuthRequired",
    11: "adminLimitExceeded",
    13: "confidentialityRequired",
    32: "noSuchObject",
    48: "inappropriateAuthentication",
    49: "invalidCredentials",
    50: "insufficientAccessRights",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
}


def ldap_fault(code: int, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what a result code means; one that is not known is an error of the server's own."""
    said = f"{code} {_NAMES.get(code, '')}".rstrip() + (f": {text}" if text else "")
    meaning = _CODES.get(code, C.APP_ERROR)
    hint = 'use ldaps://, or starttls = "required"' if meaning is C.TLS_REFUSED else ""
    return fault(meaning, phase, said, endpoint=endpoint, hint=hint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the result code of ldap3's and python-ldap's errors. noSuchObject and its like are the product's own."""
    code = getattr(link, "result", None) if "ldap3" in modules else None
    if "ldap" in modules and link.args and isinstance(link.args[0], dict):
        code = link.args[0].get("result")
    if isinstance(code, int) and code in _CODES and code != 32:
        return ldap_fault(code, str(link), phase=phase, endpoint=endpoint)
    return None


KIND = Kind(
    name="ldap",
    title="LDAP",
    schemes={"ldap": Scheme(port=389, local=True), "ldaps": Scheme(port=636, tls=True)},
    scheme_hint="ldaps://directory.staging.example/dc=example,dc=org; a user is a DN, with = as %3D and , as %2C",
    options={"starttls": "never"},
    choices={"starttls": ("never", "required")},
    templates=(
        Template(
            name="ldap",
            label="LDAP",
            url="${STAGING_LDAP_URL}",
            local="ldap://cn%3Dadmin%2Cdc%3Dexample%2Cdc%3Dorg:local-stand-in-only@127.0.0.1:3891/dc=example,dc=org",
            exports=(
                ("LDAP_URL", "ldap://{host}:{port}"),
                ("LDAP_URI", "ldap://{host}:{port}"),
                ("LDAP_HOST", "{host}"),
                ("LDAP_PORT", "{port}"),
                ("LDAP_BIND_DN", "{user}"),
                ("LDAP_BIND_PASSWORD", "{password}"),
                ("LDAP_BASE_DN", "{database}"),
            ),
            words=("LDAP", "OPENLDAP"),
            images=r"openldap|\bldap\b|lldap|389-ds",
            markers=("real_ldap", "ldap"),
        ),
    ),
    probe="resilience.services.ldap.probe:probe_ldap",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user, this password, or a login without one",
            hint="ldapwhoami -x -H ldap(s)://{endpoint} -D USER -W; compare the password with the vault's",
        ),
        C.APP_NO_DB: Words(
            cause="it is up and has no such entry, or does not show it to this user",
            hint="ldapsearch -x -H ldap(s)://{endpoint} -s base -b '' namingContexts; the base is the url's path",
        ),
    },
    clients=("ldap3", "ldap", "bonsai"),
    errors={
        ("ldap3", "LDAPInvalidCredentialsResult"): C.APP_AUTH,
        ("ldap3", "LDAPSocketReceiveError"): C.PROTO_CLOSED,
        ("ldap3", "LDAPSocketSendError"): C.PROTO_CLOSED,
        ("ldap3", "LDAPSessionTerminatedByServerError"): C.APP_SHUTDOWN,
        ("ldap3", "LDAPStartTLSError"): C.TLS_OTHER,
        ("ldap3", "LDAPResponseTimeoutError"): C.PROTO_SILENT,
        ("ldap", "INVALID_CREDENTIALS"): C.APP_AUTH,
        ("ldap", "BUSY"): C.APP_OVERLOAD,
        ("ldap", "UNAVAILABLE"): C.APP_SHUTDOWN,
        ("bonsai", "AuthenticationError"): C.APP_AUTH,
    },
    vague={
        ("ldap3", "LDAPSocketOpenError"): C.TCP_REFUSED,
        ("ldap3", "LDAPServerPoolExhaustedError"): C.TCP_REFUSED,
        ("ldap", "SERVER_DOWN"): C.PROTO_CLOSED,
        ("ldap", "TIMEOUT"): C.PROTO_SILENT,
        ("bonsai", "ConnectionError"): C.PROTO_CLOSED,
    },
    coded=_coded,
    commands=("ldapwhoami", "ldapsearch"),
    doubles=Doubles(
        stand_in="resilience.services.ldap.stand_in:STAND_INS",
        install="apt-get install slapd",
        unavailable="no slapd on this machine. Hint: apt-get install slapd, or give `start`",
        has_database=True,
    ),
)
