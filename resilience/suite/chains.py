"""Turn the exceptions that a foreign interpreter described back into types, codes and links that can be judged."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from resilience.core import faults
from resilience.core.kind import Kind
from resilience.core.records import Fault, FaultCode

C = FaultCode


def revive(chain: Sequence[Mapping[str, Any]]) -> BaseException | None:
    """Return an exception of the same types, codes and links as the one a foreign interpreter described."""
    made: list[BaseException] = []
    for node in chain:
        made.append(_revive_one(node))
    groups: dict[int, list[BaseException]] = {}
    for number, node in enumerate(chain):
        parent = node.get("of", -1)
        if not isinstance(parent, int) or not 0 <= parent < number:
            continue
        via = node.get("via")
        if via == "context" and made[parent].__context__ is None:
            made[parent].__context__ = made[number]
        elif via == "group":
            groups.setdefault(parent, []).append(made[number])
        elif made[parent].__cause__ is None:
            made[parent].__cause__ = made[number]
        else:
            groups.setdefault(parent, []).append(made[number])
    for parent, members in groups.items():
        # A link holds one cause; what lies beside it is hung on as a group, which the walk goes through as well.
        bundle = BaseExceptionGroup("members", members)
        bundle.__cause__ = made[parent].__cause__
        made[parent].__cause__ = bundle
    return made[0] if made else None


_KNOWN: Mapping[str, type[BaseException]] = {
    "ssl.SSLError": ssl.SSLError,
    "ssl.SSLEOFError": ssl.SSLEOFError,
    "ssl.SSLZeroReturnError": ssl.SSLZeroReturnError,
    "ssl.SSLCertVerificationError": ssl.SSLCertVerificationError,
    "socket.gaierror": faults.socket.gaierror,  # type: ignore[attr-defined]
    "socket.timeout": TimeoutError,
    "asyncio.exceptions.TimeoutError": TimeoutError,
    "concurrent.futures._base.TimeoutError": TimeoutError,
    **{
        kind.__name__: kind
        for kind in (
            Exception, ArithmeticError, AssertionError, AttributeError, BlockingIOError, BrokenPipeError,
            ConnectionAbortedError,
            ConnectionError, ConnectionRefusedError, ConnectionResetError, EOFError, FileNotFoundError, ImportError,
            KeyError,
            LookupError, OSError, OverflowError, PermissionError, RuntimeError, TimeoutError, TypeError, ValueError,
        )
    },
}  # fmt: skip
_types: dict[tuple[str, ...], type[BaseException]] = {}


def _type(names: tuple[str, ...]) -> type[BaseException]:
    """Return a class whose line of ancestors has these qualified names; built-in ones are themselves."""
    if not names:
        return Exception
    if names[0] in _KNOWN:
        return _KNOWN[names[0]]
    known = _types.get(names)
    if known is None:
        if len(_types) > 2000:
            _types.clear()
        base = _type(names[1:])
        module, _, name = names[0].rpartition(".")
        known = _types[names] = type(name or "Error", (base,), {"__module__": module or "builtins"})
    return known


def _revive_one(node: Mapping[str, Any]) -> BaseException:
    """Return an exception of a type made for it, with the codes that the plug-in wrote down of the real one.

    The classifier of probes reads types, numbers and attributes; so what a team's interpreter raised is rebuilt here without
    its libraries, and one classifier serves both.
    """
    names = tuple(str(name) for name in node.get("mro", ()))
    # `ConnectionError` of redis derives from its own error and from nothing of the standard library, and so on: the line
    # is kept, but a built-in one in it ends it, since what follows is that one's own line.
    kind = _type(names)
    text = str(node.get("text", ""))
    number = node.get("errno")
    exc: BaseException
    try:
        exc = kind(number, text) if isinstance(number, int) and issubclass(kind, OSError) else kind(text)
    except Exception:  # noqa: BLE001  a described exception with an odd constructor is still an exception
        exc = RuntimeError(text)
    given = {
        "sqlstate": node.get("sqlstate"),
        "response": SimpleNamespace(status_code=node["status"]) if node.get("status") else None,
        "status_code": node.get("status_word"),
        "verify_code": node.get("verify_code"),
        "reason": node.get("ssl_reason"),
        "rcvd": SimpleNamespace(code=node["close_code"], reason="") if node.get("close_code") else None,
    }
    for name, value in given.items():
        if value is not None:
            try:
                setattr(exc, name, value)
            except (AttributeError, TypeError):
                continue
    return exc


def classify_chain(chain: Sequence[Mapping[str, Any]], kinds: Iterable[Kind]) -> Fault | None:
    """Return the fault of a described exception that a client of one of these kinds may have raised, or None."""
    exc = revive(chain)
    if exc is None:
        return None
    found = faults.classify(exc, kinds=kinds)
    return None if found.code in (C.INTERNAL, C.CONFIG_INVALID) else found


def is_assertion(chain: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the test itself said that something is wrong: an assertion, `pytest.fail`, also among a group's members."""
    for number, node in enumerate(chain):
        outermost = node.get("via") == "root" or (node.get("via") == "group" and _only_groups(chain, number))
        if not outermost:
            continue
        names = {str(name).rpartition(".")[2] for name in node.get("mro", ())}
        if (
            "AssertionError" in names
            or "DocTestFailure" in names
            or ("MultipleDoctestFailures" in names and len(chain) == 1)
        ):
            return True
        if node.get("type") in ("_pytest.outcomes.Failed", "Failed") and not is_test_timeout(node):
            return True
    return False


def leaves_of(chain: Sequence[Mapping[str, Any]]) -> tuple[tuple[Mapping[str, Any], ...], ...]:
    """Return the errors that a group holds, each as a chain of its own; nothing where the outermost error is no group.

    A group says nothing by itself: one of its errors may be an outage's and another the product's.
    """
    if not chain or _GROUPS.isdisjoint(chain[0].get("mro", ())):
        return ()
    found = []
    for number, node in enumerate(chain):
        if node.get("via") == "group" and _only_groups(chain, number) and _GROUPS.isdisjoint(node.get("mro", ())):
            found.append(_below(chain, number))
    return tuple(found)


_GROUPS = frozenset(
    name for module in ("", "exceptiongroup.") for name in (f"{module}ExceptionGroup", f"{module}BaseExceptionGroup")
)


def _below(chain: Sequence[Mapping[str, Any]], top: int) -> tuple[Mapping[str, Any], ...]:
    """Return a link and all that lies behind it, as a chain of its own."""
    places = {top: 0}
    found: list[Mapping[str, Any]] = [{**chain[top], "via": "root", "of": -1}]
    for number in range(top + 1, len(chain)):
        parent = places.get(chain[number].get("of", -1))
        if parent is not None:
            places[number] = len(found)
            found.append({**chain[number], "of": parent})
    return tuple(found)


def is_test_timeout(node: Mapping[str, Any]) -> bool:
    """Whether this is pytest-timeout's end of a test that hung; it has no type of its own."""
    return node.get("type") in ("_pytest.outcomes.Failed", "Failed") and bool(
        re.match(r"Timeout (\(?>|after)", str(node.get("text", "")))
    )


def _only_groups(chain: Sequence[Mapping[str, Any]], number: int) -> bool:
    while number >= 0:
        node = chain[number]
        if node.get("via") not in ("root", "group"):
            return False
        number = node.get("of", -1)
    return True


def modules(chain: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the top-level modules of the types in the chain."""
    return frozenset(str(name).split(".")[0] for node in chain for name in node.get("mro", ()) if "." in str(name))
