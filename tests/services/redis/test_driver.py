"""redis-py's connection comes without the rest of redis-py, and the rest is whole when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

FIRST = "import sys\nfrom resilience.services.redis.driver import redis_connection\nconnection = redis_connection()\n"


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", FIRST + code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_the_commands_and_the_cluster_client_are_not_loaded() -> None:
    assert said("print(connection.Connection.__name__, 'redis.commands' in sys.modules)") == ["Connection", "False"]


def test_who_imports_redis_afterwards_gets_all_of_it() -> None:
    code = "import redis, redis.asyncio as new\nprint(redis.Redis.__name__, new.Redis.__module__, new.connection is connection)"
    assert said(code) == ["Redis", "redis.asyncio.client", "True"]


def test_a_redis_that_was_loaded_before_is_left_as_it_is() -> None:
    code = "import redis as before\n" + FIRST + "print(before is sys.modules['redis'], type(before).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "module"]
