import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop import settings

CLIENT = redis.Redis.from_url(
    settings.REDIS_URL,
    socket_timeout=0.8,
    socket_connect_timeout=0.8,
    retry=Retry(NoBackoff(), 0),
    decode_responses=True,
)
LIMITS = {"sku-1": int(CLIENT.get("stock:1"))}


def test_limit():
    assert LIMITS["sku-1"] == 10


def test_limit_of_another():
    assert LIMITS["sku-2"] == 20
