import threading
import time

import pytest
from shop import sessions

pytestmark = pytest.mark.real_redis


@pytest.mark.critical
def test_a_session_knows_its_user(store):
    assert sessions.user_of(store, sessions.log_in(store, "ada")) == "ada"


def test_a_session_ends_by_itself(store):
    token = sessions.log_in(store, "grace", seconds=0.4)
    assert sessions.user_of(store, token) == "grace"
    assert sessions.wait_gone(store, f"session:{token}", within_s=2)


def test_a_cart_survives_the_connection(store):
    store.hset("drill:cart:1", mapping={"MUG": 4, "LAMP": 1})
    with sessions.connect() as other:
        assert other.hgetall("drill:cart:1") == {"MUG": "4", "LAMP": "1"}


def test_a_cart_is_forgotten_in_time(store):
    store.hset("drill:cart:2", "MUG", 1)
    store.pexpire("drill:cart:2", 500)
    assert sessions.wait_gone(store, "drill:cart:2", within_s=2)


@pytest.mark.critical
def test_calls_are_limited(store):
    store.delete("limit:drill")
    assert [sessions.allowed(store, "drill", limit=3, window_s=5) for _ in range(5)] == [True] * 3 + [False] * 2


def test_the_limit_opens_again(store):
    store.delete("limit:again")
    assert [sessions.allowed(store, "again", limit=1, window_s=0.5) for _ in range(2)] == [True, False]
    assert sessions.wait_gone(store, "limit:again", within_s=2)
    assert sessions.allowed(store, "again", limit=1, window_s=0.5)


def test_one_holder_at_a_time(store):
    lock = store.lock("drill:lock", timeout=2)
    assert lock.acquire(blocking=False)
    assert not store.lock("drill:lock", timeout=2).acquire(blocking=False)
    lock.release()


def test_a_lost_lock_frees_itself(store):
    assert store.lock("drill:lost", timeout=0.5).acquire(blocking=False)
    waiting = store.lock("drill:lost", timeout=0.5, sleep=0.05)
    assert waiting.acquire(blocking=True, blocking_timeout=2)
    waiting.release()


def test_jobs_are_taken_in_order(store):
    store.rpush("drill:jobs", *range(5))
    assert [store.blpop("drill:jobs", timeout=1)[1] for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_a_worker_waits_for_its_job(store):
    def later():
        time.sleep(0.4)
        with sessions.connect() as other:
            other.rpush("drill:later", "job")

    sender = threading.Thread(target=later)
    sender.start()
    try:
        assert store.blpop("drill:later", timeout=1.5) == ("drill:later", "job")
    finally:
        sender.join()


def test_events_reach_subscribers(store):
    with store.pubsub() as listener:
        listener.subscribe("drill:events")
        assert listener.get_message(timeout=1)["type"] == "subscribe"
        store.publish("drill:events", "order 7 paid")
        assert listener.get_message(timeout=1)["data"] == "order 7 paid"


def test_a_leaderboard_is_sorted(store):
    store.zadd("drill:sales", {"MUG": 14, "LAMP": 2, "DESK": 3})
    assert store.zrevrange("drill:sales", 0, 1) == ["MUG", "DESK"]
