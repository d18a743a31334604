import os

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from shop import settings

PLACE = {"host": os.environ["CLICKHOUSE_HOST"], "port": int(os.environ["CLICKHOUSE_PORT"])}
LOGIN = {"username": "app", "password": settings.API_TOKEN, "database": "shop"}
LIMITS = {"connect_timeout": 1, "send_receive_timeout": 1, "query_retries": 0, "autogenerate_session_id": False}


def connect(**changed):
    return clickhouse_connect.get_client(**{**PLACE, **LOGIN, **LIMITS, **changed})


@pytest.fixture(scope="module")
def analytics():
    client = connect()
    yield client
    client.close()


@pytest.fixture
def own():
    with connect() as client:
        yield client


def revenue(client):
    return client.query("select sum(amount) from events").result_rows[0][0]


def by_kind(client):
    totals = {}
    for kind, amount in client.query("select kind, amount from events").result_rows:
        totals[kind] = amount
    return totals


def test_ping(analytics):
    assert analytics.ping()


def test_revenue(analytics):
    assert revenue(analytics) == 600


def test_events(analytics):
    assert analytics.query("select count() from events").first_row == (3,)


def test_insert(analytics):
    analytics.command("insert into events values ('sale', 1)")


def test_own_client(own):
    assert own.command("select 1") == 1


def test_own_revenue(own):
    assert revenue(own) == 600


def test_rows(own):
    assert len(own.query("select kind, amount from events").result_rows) == 3


def test_report_has_a_total():
    def report():
        try:
            with connect() as client:
                return {"total": revenue(client)}
        except (ClickHouseError, OSError) as exc:
            return {"error": type(exc).__name__}

    assert report()["total"] == 600


def test_dashboard_is_up():
    def up():
        try:
            return connect().ping()
        except ClickHouseError:
            return False

    assert up()


def test_unknown_table(analytics):
    analytics.query("select count() from event ")


def test_unknown_column(analytics):
    analytics.query("select country from events")


def test_syntax(analytics):
    analytics.query("selekt 1")


def test_wrong_password():
    connect(password="analytics")


def test_wrong_user():
    connect(username="analyst")


def test_wrong_database():
    connect(database="shop_2025").query("select count() from events")


def test_wrong_port():
    connect(port=PLACE["port"] + 1)


def test_secure():
    connect(secure=True)


def test_totals_by_kind(analytics):
    assert by_kind(analytics) == {"sale": 300, "refund": 300}


def test_insert_wrong_table(analytics):
    analytics.command("insert into evnts values (1)")


def test_parameters(analytics):
    analytics.query(
        "select count() from events where kind = {kind:String}", parameters={"kinds": "sale"}
    ).result_columns[1]


def test_insert_width(own):
    own.insert("events", [["sale"]], column_names=["kind", "amount"])


def test_row_by_name(own):
    assert own.query("select kind, amount from events").first_row["kind"] == "sale"


def test_number_of_rows(own):
    assert own.query("select kind, amount from events").row_count == 4


def test_revenue_is_nothing(own):
    assert revenue(own) == 0
