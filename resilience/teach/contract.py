"""Turn a service's OpenAPI document into the refusal that it has for a request, and into none where the document leaves it open.

A contract knows which requests are wrong, and not what staging says to those that are right: so it only ever refuses.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.media_types.exceptions import MediaTypeFinderError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.validation.request.exceptions import (
    MissingParameterError,
    ParameterValidationError,
    RequestBodyValidationError,
    SecurityValidationError,
)
from werkzeug.datastructures import Headers, ImmutableMultiDict

from resilience.teach.exchange import Asked, Exchange, is_json, media_type
from resilience.teach.openapi import ContractError

Statuses = tuple[int, ...]
_BODY: Statuses = (422, 400)
_MEDIA: Statuses = (415, 422, 400)
_PARAMETER: Statuses = (422, 400, 404)
_WHO: Statuses = (401, 403)
"""Which refusals a document is looked through for, in this order, by what is wrong with the request."""
_ELSE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a contract says to a request that it does not allow. `why` names the place and the rule, and no value of the request."""

    status: int
    operation: str
    why: str


class Contract:
    """A document that requests are held against. Raises ContractError where OpenAPI's own schema does not allow it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self._validator: Any = OpenAPI.from_dict(_at_this_place(document)).request_validator
        except Exception as exc:  # a document can be wrong in ways without end, and all of them are this error
            raise ContractError(f"it is no valid OpenAPI document: {_first_line(exc)}.") from exc

    def refusal(self, asked: Asked) -> Refusal | None:
        """Return how the contract refuses this request; None where it allows it, or has no such path and method.

        Where it cannot be told, since the document is wrong in itself or nobody can read a body of this sort, nothing is refused.
        """
        request = _Request(asked)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as of a parameter that is deprecated
                operation, listed = self._found(request)
                error = next(self._validator.iter_errors(request), None)
            if error is None:
                return None
            return _refusal(error, f"{asked.method} {operation}", listed, readable=_readable(asked))
        except PathError:
            return None
        except Exception:  # noqa: BLE001 - the document is a stranger's: what cannot be judged is not refused
            return None

    def contradicted(self, exchange: Exchange) -> str:
        """Return how staging contradicts its contract: it took what that refuses, or answered a status that is not listed."""
        status = str(exchange.answer.status)
        try:
            operation, listed = self._found(_Request(exchange.asked))
        except Exception:  # noqa: BLE001 - as above: a path that the document lacks is contradicted by nothing
            return ""
        if exchange.answer.status < 400 and (refusal := self.refusal(exchange.asked)):
            return f"{refusal.operation}: staging answered {status} to what its contract refuses ({refusal.why})"
        if listed and not listed & {status, f"{status[0]}XX", f"{status[0]}xx", "default"}:
            return f"{exchange.asked.method} {operation}: staging answered {status}, which its contract does not list"
        return ""

    def _found(self, request: _Request) -> tuple[str, frozenset[str]]:
        """Return the path's pattern and the statuses that are listed for this operation. Raises PathError where there is none."""
        found = self._validator.path_finder.find(request.method, request.host_url + request.path)
        return str(found.path.parts[-1]), frozenset(map(str, (found.operation / "responses").str_keys()))


class _Request:
    """A request in the form that openapi-core reads."""

    host_url = "http://contract"

    def __init__(self, asked: Asked) -> None:
        self.method = asked.method.lower()
        self.path = asked.path if "%2f" in asked.path.lower() else unquote(asked.path)
        self.body = asked.body
        self.content_type = asked.header("content-type")
        cookies: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookies.load(asked.header("cookie"))
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(asked.query, keep_blank_values=True)),
            header=Headers(list(asked.headers)),
            cookie=ImmutableMultiDict({name: one.value for name, one in cookies.items()}),
        )


def _at_this_place(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document whose servers are paths alone: a stand-in answers at another address than staging."""

    def moved(item: Any) -> Any:
        if not isinstance(item, dict) or not isinstance(item.get("servers"), list):
            return item
        return {**item, "servers": [_path_alone(server) for server in item["servers"]]}

    told, here = document.get("paths"), dict[str, Any](moved(dict(document)))
    if not isinstance(told, dict):
        return here
    paths = {
        path: {key: moved(inner) for key, inner in item.items()} if isinstance(item := moved(found), dict) else item
        for path, found in told.items()
    }
    return {**here, "paths": paths}


def _path_alone(server: Any) -> dict[str, str]:
    url = str(server["url"])
    for name, variable in (server.get("variables") or {}).items():
        url = url.replace("{" + name + "}", str(variable.get("default", "")))
    return {"url": urlsplit(url).path.rstrip("/") or "/"}


def _refusal(error: Exception, operation: str, listed: frozenset[str], *, readable: bool) -> Refusal | None:
    """Return the refusal for the first thing that is wrong with a request: the status that the document lists for such, else 400.

    None for an error that is none of the request, and where the body is of a sort that nobody here can read for certain.
    """
    causes = tuple(_causes(error))
    if isinstance(error, SecurityValidationError):
        wanted, why = _WHO, "it asks for credentials, and there are none"
    elif any(isinstance(one, MediaTypeFinderError) for one in causes):
        wanted, why = _MEDIA, "a body of this media type is not listed"
    elif isinstance(error, ParameterValidationError):
        lacks = "required" if isinstance(error, MissingParameterError) else _rule(causes) or "of another type"
        wanted, why = _PARAMETER, f"{error.location} parameter {error.name}: {lacks.removeprefix(': ')}"
    elif isinstance(error, RequestBodyValidationError) and readable:
        wanted, why = _BODY, f"body{_rule(causes) or ': it is missing, or cannot be read'}"
    else:
        return None
    status = next((one for one in wanted if str(one) in listed), _ELSE)
    return Refusal(status=status, operation=operation, why=why)


def _readable(asked: Asked) -> bool:
    """Whether a body is of a sort whose fields are read alike everywhere: not XML, nor the files of multipart."""
    media = media_type(asked.headers)
    return is_json(media) or media == "application/x-www-form-urlencoded" or not asked.body


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _rule(causes: Sequence[BaseException]) -> str:
    """Return where a value breaks a rule and which one it is: ".stock: type integer". Never the value, which may be a secret."""
    for cause in causes:
        for one in getattr(cause, "schema_errors", ()):
            where = "".join(f".{part}" for part in one.absolute_path)
            if one.validator == "required":
                lacking = [name for name in one.validator_value if name not in one.instance]
                return f"{where}.{lacking[0]}: required" if lacking else f"{where}: required"
            return f"{where}: {one.validator} {json.dumps(one.validator_value, ensure_ascii=False, default=str)[:60]}"
    return ""


def _first_line(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc).strip().splitlines()[0][:120] if str(exc).strip() else 'no more is said'}"
