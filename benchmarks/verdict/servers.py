"""Turn the name of a service into a small server on 127.0.0.1: `python servers.py NAME PORT`.

Each is well until it is told otherwise on its own port, which no test knows: `/__world?mode=well|sick|password`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys

from aiohttp import WSMsgType, web

MODE = web.AppKey("mode", dict)
TOKEN = os.environ.get("WORLD_TOKEN", "token")
routes_of = {}


def app(name):
    def register(make):
        routes_of[name] = make
        return make

    return register


def make(sick, *, health_when_sick, guarded=()):
    """Return an application: `sick` answers for it in that mode (health only where `health_when_sick` is false)."""

    @web.middleware
    async def world(request, handler):
        mode = request.app[MODE]["mode"]
        if request.path == "/__world":
            request.app[MODE]["mode"] = request.query["mode"]
            return web.json_response({})
        if mode == "sick" and request.path not in health_when_sick:
            return sick(request)
        if any(request.path.startswith(prefix) for prefix in guarded):
            wanted = "rotated" if mode == "password" else TOKEN
            if request.headers.get("Authorization") != f"Bearer {wanted}":
                return web.json_response(
                    {"error": {"message": "invalid token", "type": "invalid_request_error", "code": "invalid_api_key"}},
                    status=401,
                )
        return await handler(request)

    application = web.Application(middlewares=[world])
    application[MODE] = {"mode": "well"}
    return application


ORDERS = {
    n: {"id": n, "status": "paid" if n % 2 else "open", "total": n * 100, "currency": "EUR",
        "items": [{"sku": f"sku-{n}", "quantity": n % 5 + 1, "price": 25}], "customer": {"id": n * 7, "name": f"Customer {n}"}}
    for n in range(1, 41)
}  # fmt: skip


@app("backend_api")
def backend():
    sick = lambda request: web.json_response(  # noqa: E731
        {"error": "bad gateway", "message": "upstream connect error or disconnect/reset before headers"}, status=502
    )
    application = make(sick, health_when_sick=(), guarded=("/",))

    async def health(request):
        return web.json_response({"status": "ok"})

    async def orders(request):
        wanted, page = request.query.get("status"), int(request.query.get("page", "1"))
        found = [order for order in ORDERS.values() if wanted in (None, order["status"])]
        return web.json_response({"orders": found[(page - 1) * 10 : page * 10], "count": len(found)})

    async def order(request):
        found = ORDERS.get(int(request.match_info["id"]))
        if found is None:
            return web.json_response({"error": "not found", "code": "order_unknown"}, status=404)
        return web.json_response(found, headers={"ETag": f'"{found["id"]}"', "Cache-Control": "max-age=60"})

    async def create(request):
        try:
            body = await request.json()
        except ValueError:
            return web.json_response({"error": "not json"}, status=400)
        missing = [field for field in ("sku", "quantity") if field not in body]
        if missing:
            return web.json_response({"detail": [{"field": name, "type": "missing"} for name in missing]}, status=422)
        if body["quantity"] > 100:
            return web.json_response({"error": "out of stock"}, status=409)
        return web.json_response({"id": 99, "status": "open", **body}, status=201)

    async def rates(request):
        return web.json_response({"base": "EUR", "rates": {"USD": 1.1, "GBP": 0.85, "CHF": 0.95}})

    async def stream(request):
        response = web.StreamResponse(headers={"Content-Type": "text/csv"})
        await response.prepare(request)
        for n in range(5):
            await response.write(f"{n},sku-{n},{n * 10}\n".encode())
        return response

    async def report(request):
        return web.Response(text="<html><body>Report for October</body></html>", content_type="text/html")

    async def broken(request):
        return web.json_response({"error": "internal", "trace": "KeyError: 'vat'"}, status=500)

    async def redirect(request):
        raise web.HTTPFound("/orders/2")

    async def loop(request):
        raise web.HTTPFound("/loop")

    application.router.add_get("/health", health)
    application.router.add_get("/orders", orders)
    application.router.add_post("/orders", create)
    application.router.add_get("/orders/{id:\\d+}", order)
    application.router.add_get("/rates", rates)
    application.router.add_get("/export.csv", stream)
    application.router.add_get("/report", report)
    application.router.add_get("/legacy/invoice", broken)
    application.router.add_get("/latest", redirect)
    application.router.add_get("/loop", loop)
    return application


@app("auth_service")
def auth():
    sick = lambda request: web.json_response({"error": "temporarily_unavailable"}, status=503)  # noqa: E731
    application = make(sick, health_when_sick=("/health",))
    known = {"alice": "wonderland", "bob": "builder"}

    async def health(request):
        return web.json_response({"status": "ok"})

    async def token(request):
        form = await request.post() if request.content_type != "application/json" else await request.json()
        if known.get(form.get("username", "")) != form.get("password"):
            return web.json_response({"error": "invalid_grant"}, status=401)
        if form.get("scope") == "admin" and form["username"] != "alice":
            return web.json_response({"error": "insufficient_scope"}, status=403)
        return web.json_response({"access_token": f"at-{form['username']}", "token_type": "Bearer", "expires_in": 3600})

    async def userinfo(request):
        name = request.headers.get("Authorization", "").removeprefix("Bearer at-")
        if name not in known:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response(
            {"sub": name, "email": f"{name}@shop.example", "roles": ["admin"] if name == "alice" else []}
        )

    application.router.add_get("/health", health)
    application.router.add_post("/token", token)
    application.router.add_get("/userinfo", userinfo)
    return application


@app("websocket")
def sockets():
    sick = lambda request: web.Response(text="no healthy upstream", status=503)  # noqa: E731
    application = make(sick, health_when_sick=())

    async def health(request):
        return web.json_response({"status": "ok"})

    async def talk(request):
        socket = web.WebSocketResponse(protocols=("shop.v1",))
        await socket.prepare(request)
        sequence = 0
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                asked = json.loads(message.data)
            except ValueError:
                await socket.close(code=1007, message=b"not json")
                break
            sequence += 1
            op = asked.get("op")
            if op == "ping":
                await socket.send_json({"op": "pong", "seq": sequence})
            elif op == "subscribe":
                await socket.send_json({"op": "subscribed", "channel": asked.get("channel"), "seq": sequence})
                for n in range(3):
                    await socket.send_json({"op": "event", "channel": asked.get("channel"), "n": n})
            elif op == "bye":
                await socket.close(code=1000)
                break
            elif op == "admin":
                await socket.close(code=1008, message=b"policy")
                break
            else:
                await socket.send_json({"op": "error", "reason": f"unknown op {op}", "seq": sequence})
        return socket

    application.router.add_get("/health", health)
    application.router.add_get("/ws", talk)
    return application


@app("llm_service")
def llm():
    sick = lambda request: web.json_response(  # noqa: E731
        {"error": {"message": "The server is overloaded", "type": "server_error", "code": "overloaded"}}, status=503
    )
    application = make(sick, health_when_sick=("/v1/models",), guarded=("/v1",))

    async def models(request):
        return web.json_response(
            {"object": "list", "data": [{"id": "small-1", "object": "model", "created": 1, "owned_by": "shop"}]}
        )

    async def chat(request):
        body = await request.json()
        if body.get("model") != "small-1":
            return web.json_response(
                {"error": {"message": f"The model {body.get('model')} does not exist", "type": "invalid_request_error",
                           "code": "model_not_found"}}, status=404,
            )  # fmt: skip
        if not body.get("messages"):
            return web.json_response(
                {"error": {"message": "messages must not be empty", "type": "invalid_request_error"}}, status=400
            )
        text = "Refund: yes. Category: " + ("shipping" if "parcel" in body["messages"][-1]["content"] else "billing")
        if body.get("stream"):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for word in text.split():
                piece = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small-1",
                         "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]}  # fmt: skip
                await response.write(f"data: {json.dumps(piece)}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
            return response
        if body.get("response_format"):
            text = json.dumps({"refund": True, "category": "billing"})
        if body.get("tools"):
            call = {"id": "call_1", "type": "function",
                    "function": {"name": "refund", "arguments": json.dumps({"order_id": 7, "amount": 25})}}  # fmt: skip
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        else:
            message = {"role": "assistant", "content": text}
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "small-1",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}
        )  # fmt: skip

    async def embeddings(request):
        body = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": n, "embedding": [0.1, 0.2, 0.3]} for n, _ in enumerate(texts)]
        return web.json_response(
            {"object": "list", "data": data, "model": "small-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )

    application.router.add_get("/v1/models", models)
    application.router.add_post("/v1/chat/completions", chat)
    application.router.add_post("/v1/embeddings", embeddings)
    return application


@app("clickhouse")
def clickhouse():
    """A fake of the HTTP interface, with as much of the Native format as clickhouse-connect needs."""
    sick = lambda request: web.Response(  # noqa: E731
        text="Code: 202. DB::Exception: Too many simultaneous queries. Maximum: 100. (TOO_MANY_SIMULTANEOUS_QUERIES)",
        status=503, headers={"X-ClickHouse-Exception-Code": "202"},
    )  # fmt: skip
    application = make(sick, health_when_sick=("/ping",))

    def varint(n):
        out = b""
        while n >= 0x80:
            out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
        return out + bytes([n])

    def string(text):
        return varint(len(text.encode())) + text.encode()

    def native(names, types, rows):
        out = varint(len(names)) + varint(len(rows))
        for column, (name, kind) in enumerate(zip(names, types, strict=True)):
            out += string(name) + string(kind)
            for row in rows:
                value = row[column]
                out += string(value) if kind == "String" else int(value).to_bytes(8 if "64" in kind else 1, "little")
        return out

    def fault(code, name, text, status):
        return web.Response(
            text=f"Code: {code}. DB::Exception: {text}. ({name}) (version 25.3.1.1)\n", status=status,
            headers={"X-ClickHouse-Exception-Code": str(code)},
        )  # fmt: skip

    async def ping(request):
        return web.Response(text="Ok.\n")

    async def query(request):
        application_mode = request.app[MODE]["mode"]
        user = request.headers.get("X-ClickHouse-User") or request.query.get("user") or "default"
        key = request.headers.get("X-ClickHouse-Key") or request.query.get("password") or ""
        if request.headers.get("Authorization", "").startswith("Basic "):
            import base64

            user, _, key = base64.b64decode(request.headers["Authorization"][6:]).decode().partition(":")
        if user != "app" or key != ("rotated" if application_mode == "password" else TOKEN):
            return fault(516, "AUTHENTICATION_FAILED", f"{user}: Authentication failed: password is incorrect", 403)
        if request.query.get("database", "shop") not in ("shop", "default", "system", "__default__", ""):
            return fault(81, "UNKNOWN_DATABASE", f"Database {request.query['database']} does not exist", 404)
        data = await request.read()
        sql = (request.query.get("query", "") + " " + data.decode("utf-8", "replace")).strip()
        low = re.sub(r"\s+", " ", sql.lower())
        tsv = "format native" not in low and request.query.get("default_format", "").lower() != "native"
        if "select version()" in low:
            names, types, rows = ["version()", "timezone()"], ["String", "String"], [("25.3.1.1", "UTC")]
        elif "system.settings" in low:
            names, types, rows = ["name", "value", "readonly"], ["String", "String", "UInt8"], []
        elif low.startswith("insert"):
            if "into events" not in low and "into `events" not in low and "events" not in low:
                return fault(60, "UNKNOWN_TABLE", "Table shop.evnts does not exist", 404)
            return web.Response(text="", headers={"X-ClickHouse-Summary": '{"written_rows":"1"}'})
        elif "sum(amount" in low and "from events" in low:
            names, types, rows = ["sum(amount)"], ["UInt64"], [(600,)]
        elif "count()" in low and "from events" in low:
            names, types, rows = ["count()"], ["UInt64"], [(3,)]
        elif "kind, amount" in low and "from events" in low:
            names, types = ["kind", "amount"], ["String", "UInt64"]
            rows = [("sale", 100), ("sale", 200), ("refund", 300)]
        elif "describe table" in low or "system.columns" in low:
            names = [
                "name",
                "type",
                "default_type",
                "default_expression",
                "comment",
                "codec_expression",
                "ttl_expression",
            ]
            types = ["String"] * 7
            rows = [("kind", "String", "", "", "", "", ""), ("amount", "UInt64", "", "", "", "", "")]
        elif re.search(r"select 1\b", low):
            names, types, rows = ["1"], ["UInt8"], [(1,)]
        elif "from event " in low + " ":
            return fault(
                60, "UNKNOWN_TABLE", "Unknown table expression identifier 'event'. Maybe you meant: ['events']", 404
            )
        elif "from events" in low and not low.startswith(("create", "drop", "alter")):
            return fault(47, "UNKNOWN_IDENTIFIER", "Unknown expression identifier in scope", 404)
        elif low.startswith(("create", "drop", "alter", "set", "truncate")):
            return web.Response(text="")
        else:
            return fault(62, "SYNTAX_ERROR", f"Syntax error: failed at position 1: {sql[:20]}", 400)
        headers = {"X-ClickHouse-Summary": "{}", "X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Query-Id": "q"}
        if tsv:
            return web.Response(text="".join("\t".join(map(str, row)) + "\n" for row in rows), headers=headers)
        return web.Response(body=native(names, types, rows) if rows else b"", headers=headers)

    application.router.add_get("/ping", ping)
    application.router.add_get("/", query)
    application.router.add_post("/", query)
    return application


async def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    runner = web.AppRunner(routes_of[name](), access_log=None, handle_signals=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
