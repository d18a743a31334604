"""Byte-exact fake servers on 127.0.0.1: each accepts, says exactly what it is told, and ends as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.kits.ports import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port; at the end every connection is cut and every handler has ended."""
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await handler(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            with contextlib.suppress(OSError, RuntimeError):  # its connection, or its event loop, may be gone
                writer.transport.abort()

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def refused() -> int:
    """Return a port on which nothing listens."""
    return free_port()


@contextlib.contextmanager
def black_hole():
    """A lost SYN: a backlog of zero that one connection fills, and nobody accepts."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield port


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def close_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def close_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.close()


async def reset_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    reset(writer)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(-1)


def says(*parts: bytes, first: bool = False, stay: bool = False) -> Handler:
    """Answer what comes with these bytes, or say them `first`; then close, or `stay` silent."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not first:
            await reader.read(4096)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if stay:
            await reader.read(-1)
        writer.close()
        await writer.wait_closed()

    return handler


def drips(head: bytes, drop: bytes, every_s: float = 0.02) -> Handler:
    """Say `head`, then one drop at a time without end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every_s)

    return handler


def pours(head: bytes, chunk: bytes, counter: list[int] | None = None) -> Handler:
    """Say `head`, then `chunk` as fast as it is read, without end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(head)
        while True:
            writer.write(chunk)
            if counter is not None:
                counter[0] += len(chunk)
            await writer.drain()

    return handler


def http(status: int, body: bytes = b"", *headers: str, reason: str = "X") -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def pg_error(sqlstate: str, message: str, severity: str = "FATAL") -> bytes:
    """A PostgreSQL ErrorResponse (protocol 3.0)."""
    fields = b"".join(
        kind + text.encode() + b"\0"
        for kind, text in ((b"S", severity), (b"V", severity), (b"C", sqlstate), (b"M", message))
    )
    return b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0"


def pg_refuses_with(answer: bytes) -> Handler:
    """Decline TLS as PostgreSQL does, then answer the start-up message."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        start = await reader.readexactly(length - 4)
        if start == struct.pack("!i", 80877103):
            writer.write(b"N")
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            await reader.readexactly(length - 4)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return handler


def redis_says(answers: dict[bytes, bytes]) -> Handler:
    """Speak RESP2: answer each command by its name, or its two first words; `*` is the default."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            count = int((await reader.readline())[1:] or b"0")
            words = []
            for _ in range(count):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            if not words:
                return
            name = words[0].upper()
            answer = answers.get(name, answers.get(b"*", b"+OK\r\n"))
            writer.write(answer)
            await writer.drain()

    return handler


def bulk(text: str) -> bytes:
    raw = text.encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


REDIS_INFO = bulk("redis_version:7.2.4\r\nrole:master\r\nloading:0\r\n")


class Certificates:
    """A CA, and server contexts with every kind of certificate that is not believed."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.other = trustme.CA()
        now = datetime.now(UTC)
        self.now = now
        self.good = self.ca.issue_cert("localhost", "127.0.0.1")

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ca.pem and the good certificate into a folder; return the certificate's file and its key's."""
        certificate, key = folder / "server.pem", folder / "server.key"
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.good.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(pem.bytes() for pem in self.good.cert_chain_pems))
        key.chmod(0o600)
        return certificate, key

    def context(self, leaf: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context

    def of(self, kind: str) -> ssl.SSLContext:
        day = timedelta(days=1)
        if kind == "good":
            return self.context(self.good)
        if kind == "expired":
            leaf = self.ca.issue_cert("127.0.0.1", not_before=self.now - 9 * day, not_after=self.now - day)
            return self.context(leaf)
        if kind == "not_yet_valid":
            leaf = self.ca.issue_cert("127.0.0.1", not_before=self.now + day, not_after=self.now + 9 * day)
            return self.context(leaf)
        if kind == "hostname":
            return self.context(self.ca.issue_cert("other.example", "127.9.9.9"))
        if kind == "unknown_ca":
            return self.context(self.other.issue_cert("127.0.0.1", "localhost"))
        if kind == "self_signed":
            return self._self_signed()
        if kind == "self_signed_chain":
            return self._self_signed_chain()
        if kind == "client_cert":
            context = self.context(self.good)
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
            return context
        if kind == "client_cert_12":
            context = self.of("client_cert")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            return context
        if kind == "old":
            context = self.context(self.good)
            context.set_ciphers("ALL:@SECLEVEL=0")
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
            return context
        raise KeyError(kind)

    def _self_signed(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        import ipaddress

        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=9))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _load(trustme.Blob(pem))

    def _self_signed_chain(self) -> ssl.SSLContext:
        leaf = self.other.issue_cert("127.0.0.1", "localhost")
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems) + self.other.cert_pem.bytes()
        return _load(trustme.Blob(leaf.private_key_pem.bytes() + chain))


def _load(blob: trustme.Blob) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with blob.tempfile() as path:
        context.load_cert_chain(path)
    return context
