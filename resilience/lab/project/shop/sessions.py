"""Sessions, carts, locks and limits in Redis."""

import time
import uuid

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop.config import setting


def connect() -> redis.Redis:
    return redis.Redis.from_url(
        setting("REDIS_URL"),
        decode_responses=True,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )


def log_in(store: redis.Redis, user: str, *, seconds: float = 60) -> str:
    token = uuid.uuid4().hex
    store.set(f"session:{token}", user, px=int(seconds * 1000))
    return token


def user_of(store: redis.Redis, token: str) -> str | None:
    return store.get(f"session:{token}")


def allowed(store: redis.Redis, who: str, *, limit: int, window_s: float) -> bool:
    """Count a call; no more than `limit` in a window."""
    key = f"limit:{who}"
    with store.pipeline() as pipe:
        pipe.incr(key)
        pipe.pexpire(key, int(window_s * 1000), nx=True)
        count, _ = pipe.execute()
    return count <= limit


def wait_gone(store: redis.Redis, key: str, *, within_s: float) -> bool:
    """Say whether a key expires in time."""
    end = time.monotonic() + within_s
    while store.exists(key):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
