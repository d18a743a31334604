"""Turn a mail server into what its greeting, EHLO, STARTTLS and a login say; no mail is sent."""

from __future__ import annotations

import base64

from resilience.core.plain import start
from resilience.core.records import FaultCode
from resilience.core.settings import Service
from resilience.services.reading import Reading
from resilience.services.smtp.kind import smtp_fault
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

MOST_LINES = 100


async def probe_smtp(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Read the greeting, say EHLO, go on in TLS, and log in where the URL names a user.

    With starttls = "auto" TLS is used where the server offers it and a password is to be sent; "required" takes nothing
    less. Without a user no login is tried, and the fact `login` says so.
    """
    address = parse(service.kind, url)
    trace.expected = "220, and 250 to EHLO"
    wire = await open_wire(service, address, trace, context)
    session = Session(Reading(wire, "SMTP", address.endpoint), address)
    try:
        await session.reading.starts(b"220", b"421", b"450", b"452", b"5")
        greeting = await session.reply(220)
        trace.facts["greeting"] = start(greeting[0], 80)
        offered = await session.hello()
        wish = str(service.options.get("starttls", "auto"))
        if "STARTTLS" in offered and (wish == "required" or (wish == "auto" and address.user)):
            await session.ask("STARTTLS", 220)
            await session.reading.start_tls(context.tls(service.tls_ca), address.host)
            offered = await session.hello()
        elif wish == "required" and not address.tls:
            raise session.reading.refused(FaultCode.TLS_REFUSED, "the server offers no STARTTLS")
        elif "STARTTLS" in offered:
            trace.facts["starttls"] = "offered, not used"
        trace.facts["login"] = await session.login(offered)
        trace.found = f"250 to EHLO; login: {trace.facts['login']}"
        trace.facts["reads"] = "ok"
        wire.write(b"QUIT\r\n")
    finally:
        wire.abort()


class Session:
    """As much of SMTP as a look needs (RFC 5321, 3207 and 4954)."""

    def __init__(self, reading: Reading, address: Address) -> None:
        self.reading, self.address = reading, address

    async def ask(self, command: str, expected: int) -> list[str]:
        self.reading.wire.write(f"{command}\r\n".encode())
        return await self.reply(expected)

    async def reply(self, expected: int) -> list[str]:
        """Return the lines of a reply. Raises Refused where it has another code, with what that means."""
        lines = []
        for _ in range(MOST_LINES):
            line = (await self.reading.line()).decode("utf-8", "replace")
            if not line[:3].isdigit() or line[3:4] not in ("", " ", "-"):
                raise self.reading.wrong(repr(start(line, 40)))
            lines.append(line[4:])
            if line[3:4] != "-":
                break
        code = int(line[:3])
        if code != expected:
            raise Refused(smtp_fault(code, start(" ".join(lines), 160), endpoint=self.address.endpoint))
        return lines

    async def hello(self) -> dict[str, str]:
        """Return what the server offers: word in upper case → what stands behind it."""
        lines = await self.ask("EHLO resilience.invalid", 250)
        return {word.upper(): rest.upper() for word, _, rest in (line.partition(" ") for line in lines[1:])}

    async def login(self, offered: dict[str, str]) -> str:
        """Log in where the URL names a user; return how, or why not. Raises Refused where it is refused."""
        user, password = self.address.user, self.address.password
        if not user:
            return "not tried (no user in the url)"
        ways = offered.get("AUTH", "").split()
        if "PLAIN" in ways:
            await self.ask(f"AUTH PLAIN {_encoded(f'{chr(0)}{user}{chr(0)}{password}')}", 235)
            return "PLAIN"
        if "LOGIN" in ways:
            await self.ask("AUTH LOGIN", 334)
            await self.ask(_encoded(user), 334)
            await self.ask(_encoded(password), 235)
            return "LOGIN"
        raise self.reading.refused(
            FaultCode.APP_AUTH, f"it offers no login by a password ({' '.join(ways) or 'no AUTH'})"
        )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
