import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from shop import pricing, settings


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    email: orm.Mapped[str]
    vip: orm.Mapped[bool]
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("customers.id"))
    status: orm.Mapped[str]
    total: orm.Mapped[int]
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


class Wish(Base):
    __tablename__ = "wishes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str]


URL = settings.dsn("postgresql+psycopg2")
ARGS = {"connect_timeout": 2}


@pytest.fixture(scope="session")
def engine():
    made = sa.create_engine(URL, connect_args=ARGS, pool_size=2, max_overflow=0, pool_timeout=0.3)
    yield made
    made.dispose()


@pytest.fixture
def session(engine):
    with orm.Session(engine) as made:
        yield made
        made.rollback()


@pytest.fixture(scope="module")
def checked_out(engine):
    """One transaction for the module, as the tutorial says."""
    connection = sa.create_engine(URL, connect_args=ARGS).connect()
    yield connection
    connection.close()


@pytest.fixture(scope="class")
def some_customers(engine):
    with orm.Session(engine) as made:
        return made.scalars(sa.select(Customer).order_by(Customer.id).limit(5)).all()


def best_customer(session):
    return session.execute(
        sa.select(Order.customer_id, sa.func.sum(Order.total).label("spent"))
        .group_by(Order.customer_id)
        .order_by(sa.desc("spent"))
        .limit(1)
    ).one()


def place(session, customer, total):
    order = Order(customer_id=customer, status="open", total=total)
    session.add(order)
    session.flush()
    return order.id


def test_transaction_of_the_module(checked_out):
    assert checked_out.scalar(sa.text("select count(*) from customers")) == 20


def test_transaction_is_still_there(checked_out):
    assert checked_out.scalar(sa.text("select count(*) from stock")) == 10


def test_transaction_at_the_end(checked_out):
    assert checked_out.scalar(sa.text("select 1")) == 1


def test_engine_connects(engine):
    with engine.connect() as connection:
        assert connection.scalar(sa.select(1)) == 1


def test_pooled_after_idle(engine):
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from orders where id <= 60")) == 60


def test_orders_of_a_customer(session):
    assert [order.total for order in session.get(Customer, 1).orders] == [200, 400, 600]


def test_best_customer(session):
    assert best_customer(session)[1] > 100


def test_placing(session):
    assert place(session, 4, 10) > 0


def test_vip_flag(session):
    assert session.get(Customer, 5).vip is True


def test_commit_and_delete(session):
    order = Order(customer_id=1, status="open", total=1)
    session.add(order)
    session.commit()
    session.delete(order)
    session.commit()


def test_inspector(engine):
    assert "orders" in sa.inspect(engine).get_table_names()


def test_payment_with_pre_ping():
    engine = sa.create_engine(URL, connect_args=ARGS, pool_pre_ping=True)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from customers")) == 20
    engine.dispose()


class TestCustomers:
    def test_names(self, some_customers):
        assert [customer.name for customer in some_customers][:2] == ["Customer 1", "Customer 2"]

    def test_vips(self, some_customers):
        assert [customer.vip for customer in some_customers] == [False] * 4 + [True]

    def test_label(self):
        assert pricing.label({"id": 3, "status": "open"}) == "000003/OPEN"


class TestDetached:
    def test_lazy_orders(self, some_customers):
        assert len(some_customers[0].orders) == 3


def test_status_page(engine):
    def page():
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("select 1"))
        except sa.exc.SQLAlchemyError:
            return 503, "database unavailable"
        return 200, "ok"

    status, _ = page()
    assert status == 200


def test_unit_of_work_reports_its_own_error(engine):
    class RepositoryError(Exception):
        pass

    def load():
        try:
            with orm.Session(engine) as made:
                return made.get(Customer, 1).name
        except sa.exc.OperationalError as exc:
            raise RepositoryError(f"cannot load: {exc.orig.__class__.__name__}") from exc

    assert load() == "Customer 1"


def test_queue_pool_limit(engine):
    with engine.connect(), engine.connect(), engine.connect() as third:
        third.execute(sa.text("select 1"))


def test_closed_connection(engine):
    connection = engine.connect()
    connection.close()
    connection.execute(sa.text("select 1"))


def test_closed_result(engine):
    with engine.connect() as connection:
        result = connection.execute(sa.text("select * from orders"))
        result.close()
        result.fetchall()


def test_wish_list(session):
    assert session.scalars(sa.select(Wish)).all() == []


def test_attribute_of_none(session):
    assert session.get(Customer, 400).name == ""


def test_exactly_one_open_order(session):
    session.scalars(sa.select(Order).where(Order.status == "open")).one()


def test_no_such_attribute(session):
    session.scalars(sa.select(Order).where(Order.state == "open")).all()


def test_detached_lazy_load(engine):
    with orm.Session(engine) as made:
        customer = made.get(Customer, 1)
    assert len(customer.orders) == 3


def test_not_null(session):
    session.add(Customer(id=50, email="x@shop.example", vip=False))
    session.flush()


def test_bad_status(session):
    session.add(Order(customer_id=1, status="lost", total=1))
    session.flush()


def test_pending_rollback(session):
    session.add(Customer(id=1, name="again", email="again@shop.example", vip=False))
    try:
        session.flush()
    except sa.exc.IntegrityError:
        pass
    session.scalar(sa.select(sa.func.count()).select_from(Order))


def test_wrong_user():
    with sa.create_engine(settings.dsn("postgresql+psycopg2", user="sales"), connect_args=ARGS).connect():
        pass


def test_wrong_password():
    with sa.create_engine(settings.dsn("postgresql+psycopg2", password="x"), connect_args=ARGS).connect():
        pass


def test_wrong_port():
    with sa.create_engine(settings.dsn("postgresql+psycopg2", port=settings.DB.port + 1), connect_args=ARGS).connect():
        pass


def test_wrong_driver():
    with sa.create_engine(settings.dsn("postgresql+pg9000")).connect():
        pass


def test_ssl_in_the_url():
    with sa.create_engine(settings.dsn("postgresql+psycopg2", query="?sslmode=require"), connect_args=ARGS).connect():
        pass


def test_sum_of_totals(session):
    assert session.scalar(sa.select(sa.func.sum(Order.total)).where(Order.id <= 60)) == 18301


def test_text_without_text(session):
    session.execute("select 1")


def test_invalidated_by_the_test(engine):
    with engine.connect() as connection:
        connection.connection.dbapi_connection.close()
        connection.execute(sa.text("select 1"))


def test_own_limit(session):
    session.execute(sa.text("set local statement_timeout = 40"))
    session.execute(sa.text("select pg_sleep(0.3)"))


def test_best_is_customer_nine(session):
    assert best_customer(session).customer_id == 99


def test_metadata_create(engine):
    sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer), schema="nowhere").create(engine)


def test_bind_parameter_is_missing(session):
    session.execute(sa.text("select * from orders where id = :number"))
