"""Turn the events of a pytest that somebody else started into what its tests came to, as JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import Mapping
from typing import Annotated, Any, BinaryIO

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment
from resilience.cli.output import leave, log_to_stderr, print_json
from resilience.core.errors import UsageError

with on_demand():
    from resilience.host import files
    from resilience.runs import judging
    from resilience.suite import following

app = verb()


@app.command()
def judge(
    follows: Annotated[
        bool, typer.Option("--follow", help="Exchange messages, a line each, with the pytest plug-in that began this.")
    ] = False,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """The plug-in's events on stdin: outcomes as JSON. Runs nothing.

    \b
      resilience judge < events.jsonl
    """
    log_to_stderr(False)
    settings = settings_from(config, environment)
    if follows:
        first = judging.message_of(sys.stdin.buffer.readline())
        if first is None or "folder" not in first:
            raise UsageError("judge --follow is spoken to by pytest-resilience.", hint="pytest")
        try:
            asyncio.run(_follow(settings, first))
        except following.StarterGoneError:
            leave(0)
        return
    lines = [line for line in sys.stdin.buffer.read().splitlines() if line.strip()]
    if not lines:
        raise UsageError("no events came on stdin.", hint="resilience judge < events.jsonl")
    folder = files.scratch("resilience-tests")
    try:
        document = asyncio.run(judging.replay(settings, following.Ground(folder=folder, run="replayed", key=""), lines))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_json(document)
    leave(int(document["exit_code"]))


async def _follow(settings: Any, first: Mapping[str, Any]) -> None:
    """Follow a pytest that somebody else started: its messages come line by line on our input, ours go out the same way.

    It ends with who started us: the end of the input is a message as well (None), and an output that is closed is
    following.StarterGoneError.
    """
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()

    def listen(stream: BinaryIO) -> None:
        """Pass lines on as they come; the end of the stream is the end of who started us."""
        for line in stream:
            loop.call_soon_threadsafe(said.put_nowait, judging.message_of(line))
        loop.call_soon_threadsafe(said.put_nowait, None)

    async def say(message: Mapping[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(message, default=str) + "\n")
            sys.stdout.flush()
        except OSError as exc:
            raise following.StarterGoneError("the pytest that was followed is gone.") from exc

    # A thread, since a pipe on stdin cannot be awaited everywhere, and one that ends with us.
    threading.Thread(target=listen, args=(sys.stdin.buffer,), daemon=True).start()
    await judging.follow(settings, judging.ground_of(first), say, said.get, command=str(first.get("command", "pytest")))
