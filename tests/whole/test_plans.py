"""Query plans on MySQL: every list, lookup and report uses its index and reads few rows more than it answers."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, insert, text, update

import migrations
from config import Settings
from database import Base, get_inserted_id, now
from ledger.tags.sets import write_ids
from ledger.transfer.archives.sections import PAGE_ROWS as ARCHIVE_PAGE
from main import create_app
from models import Category, LedgerState, Payee, Tag, TagSet
from tests.support.imports import draft, load, reading
from tests.support.people import Person, make_transport
from tests.support.plans import Plan, explain
from tests.support.servers import DRIVER, MySQL, make_plain_engine
from tests.support.settings import GOOD_SECRET

MINE, THEIRS = 20_000, 2_000
PAGE = 50
BY_DATE = "ix_expenses_owner_id_spent_on_id"
BY_AMOUNT = "ix_expenses_owner_id_amount_id"
BY_CATEGORY = "ix_expenses_owner_id_category_id_spent_on_id"
BY_REPORT = "ix_expenses_for_reports"
BY_PAYEE = "ix_expenses_owner_id_payee_id_spent_on_id"
BY_TAGS = "ix_expenses_owner_id_tag_set_id_spent_on_id"
BY_EXTERNAL_ID = "uq_expenses_owner_id_external_id"
BY_REVISION = {
    "expenses": "ix_expenses_owner_id_revision_id",
    "categories": "ix_categories_owner_id_revision_id",
    "tags": "ix_tags_owner_id_revision_id",
    "budgets": "ix_budgets_owner_id_revision_id",
    "tombstones": "ix_tombstones_owner_id_revision_row_id",
    "trash": "ix_trash_owner_id_revision_id",
}


class Planner:
    """Knows what a request asks the server, and how the server goes about it."""

    def __init__(self, person: Person, connection: Connection) -> None:
        self.person = person
        self._connection = connection
        self.sent: list[str] = []

    def note(self, statement: str | bytes) -> None:
        """Write down a statement that the app sends."""
        self.sent.append(statement if isinstance(statement, str) else statement.decode())

    async def plan(self, path: str, table: str = "expenses", method: str = "GET", **body: Any) -> Plan:
        """Ask the app, and explain the last thing that it reads from the table."""
        self.sent.clear()
        answer = await self.person.request(method, path, **body)
        assert answer.is_success, answer.text
        return self.explain([sent for sent in self.sent if sent.startswith("SELECT") and f"FROM {table}" in sent][-1])

    def add_payees(self, number: int) -> None:
        """Insert payees without expenses."""
        names = [f"z{at}" for at in range(number)]
        rows = [{"owner_id": self.person.user["id"], "name_key": it, "search_key": it} for it in names]
        self._connection.execute(insert(Payee), rows)
        self._connection.exec_driver_sql("ANALYZE TABLE payees")

    def explain(self, statement: str) -> Plan:
        """Explain a statement and run it."""
        return explain(self._connection, statement)


# A hundred payees; one expense in four has a tag, and one in a hundred has two.
FILL_PAYEES = text("""
    INSERT INTO payees (owner_id, name_key, search_key)
    SELECT a.owner_id, CONCAT('p', a.revision + 20 * b.revision), CONCAT('p', a.revision + 20 * b.revision)
    FROM categories a JOIN categories b USING (owner_id) WHERE owner_id = :owner AND b.revision < 5
""")
REFER = text("""
    UPDATE expenses JOIN payees
        ON payees.owner_id = expenses.owner_id AND name_key = CONCAT('p', expenses.revision % 100)
    SET payee_id = payees.id, payee = name_key, payee_key = name_key, tag_set_id = CASE
        WHEN expenses.revision % 100 = 0 THEN :two_tags WHEN expenses.revision % 4 = 0 THEN :one_tag END
    WHERE expenses.owner_id = :owner
""")
# Four years of spending, with some days and many amounts in common. The server makes the rows itself, which is faster
# than sending them: `at` counts them, as a number whose four digits are categories.
FILL = text("""
    INSERT INTO expenses (owner_id, category_id, amount, currency, spent_on, description, description_key, external_id,
        revision, created_at, updated_at)
    SELECT :owner, IF(at % 10, category_id, NULL), 1000 + at * 7919 % 50000 * 10, 'EUR',
        '2022-11-23' + INTERVAL at * 31 % 1461 DAY, CONCAT('spent ', at), CONCAT('spent ', at),
        IF(at % 2, CONCAT('x', at), NULL), at + 1, :now, :now
    FROM (
        SELECT a.id AS category_id, a.revision + 20 * b.revision + 400 * c.revision + 8000 * d.revision AS at
        FROM categories a JOIN categories b USING (owner_id) JOIN categories c USING (owner_id)
            JOIN categories d USING (owner_id)
        WHERE owner_id = :owner
    ) AS counted
    WHERE at < :number ORDER BY at
""")


def fill(connection: Connection, owner_id: int, number: int) -> None:
    instants = {"created_at": now(), "updated_at": now()}
    owned = {"owner_id": owner_id}
    mine = owned | {"revision": number}
    connection.execute(
        insert(Category),
        [
            {"owner_id": owner_id, "name": f"c{at}", "name_key": f"c{at}", "revision": at, **instants}
            for at in range(20)
        ],
    )
    connection.execute(FILL, {"owner": owner_id, "number": number, "now": now()})
    connection.execute(FILL_PAYEES, {"owner": owner_id})
    tags = [
        get_inserted_id(connection.execute(insert(Tag), {"name": it, "name_key": it, **mine, **instants}))
        for it in ("often", "rare")
    ]
    one_tag, two_tags = (
        get_inserted_id(connection.execute(insert(TagSet), {"tag_ids": write_ids(it), "names": "often", **owned}))
        for it in (tags[:1], tags)
    )
    connection.execute(REFER, {"owner": owner_id, "one_tag": one_tag, "two_tags": two_tags})
    connection.execute(
        update(LedgerState).where(LedgerState.owner_id == owner_id).values(revision=number, expense_count=number)
    )


@pytest.fixture(scope="module")
async def planner(mysql_server: MySQL) -> AsyncIterator[Planner]:
    """Somebody with twenty thousand expenses, among others who have theirs."""
    with mysql_server.fresh_database() as url:
        migrations.upgrade(url)
        app = create_app(Settings(database_url=url, secret_key=SecretStr(GOOD_SECRET), bcrypt_rounds=4, _env_file=None))
        engine = make_plain_engine(url, isolation_level="AUTOCOMMIT")
        async with (
            app.router.lifespan_context(app),
            Person(transport=make_transport(app), base_url="http://t") as person,
        ):
            person.app = app
            with engine.connect() as connection, pytest.MonkeyPatch.context() as patch:
                await register_with(person, connection, THEIRS)
                await register_with(person, connection, MINE)
                await person.sign_in()
                mine = person.user
                await register_with(person, connection, THEIRS)
                person.user = mine
                connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(Base.metadata.tables)}")
                planner = Planner(person, connection)
                driver = importlib.import_module(DRIVER).Connection
                patch.setattr(driver, "query", noting(planner, driver.query))
                yield planner


async def register_with(person: Person, connection: Connection, number: int) -> None:
    await person.register()
    fill(connection, person.user["id"], number)


def noting(planner: Planner, query: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """What every statement goes through, however it was made; it is noted on its way."""

    async def noted(connection: object, sql: str | bytes, unbuffered: bool = False) -> Any:  # noqa: ANN401
        planner.note(sql)
        return await query(connection, sql, unbuffered)

    return noted


@pytest.fixture(scope="module")
async def deep(planner: Planner) -> dict[str, str]:
    """For each order a page far from its beginning."""

    async def walk(sort: str) -> str:
        path = f"/expenses?sort={sort}&limit=200"
        cursor = ""
        for _ in range(10):
            page = await planner.person.get(path + cursor)
            cursor = f"&cursor={page.json()['next_cursor']}"
        return path.replace("200", str(PAGE)) + cursor

    return {sort: await walk(sort) for sort in ORDERS}


ORDERS = {"-date": BY_DATE, "date": BY_DATE, "-amount": BY_AMOUNT, "amount": BY_AMOUNT}
# A row of a page is looked at in its index and read, and so are its category and its tags.
READS_A_ROW = 4
SLACK = 20


def test_the_ledger_is_large(planner: Planner) -> None:
    assert planner.explain("SELECT COUNT(*) FROM expenses").rows_read > 20_000


@pytest.mark.parametrize(("sort", "index"), ORDERS.items())
async def test_the_first_page_of_an_order_is_read_from_its_index(planner: Planner, sort: str, index: str) -> None:
    plan = await planner.plan(f"/expenses?sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == index
    assert not plan.is_sorted
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


async def test_the_expenses_of_a_batch_are_looked_up_by_their_ids(planner: Planner) -> None:
    ids = [it["id"] for it in (await planner.person.get("/expenses?limit=3")).json()["items"]]
    operations = [{"op": "update", "id": it, "data": {"description": "of a batch"}} for it in ids]
    plan = await planner.plan("/expenses/batch", method="POST", json={"operations": operations})
    assert plan.indexes["expenses"] == "PRIMARY"
    assert plan.rows_read <= READS_A_ROW * len(ids) + SLACK


@pytest.mark.parametrize(("sort", "index"), ORDERS.items())
async def test_a_page_far_down_is_read_from_its_index_as_fast(
    planner: Planner, deep: dict[str, str], sort: str, index: str
) -> None:
    plan = await planner.plan(deep[sort])
    assert plan.indexes["expenses"] == index
    assert not plan.is_sorted
    # The rest of the cursor's own day or amount comes before it.
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + 2 * SLACK


PERIODS = ["period=2024-06", "period=2024", "from=2024-06-01", "to=2024-06-30", "period=2024-06-15"]


@pytest.mark.parametrize("sort", ["-date", "date"])
@pytest.mark.parametrize("period", PERIODS)
async def test_a_period_is_a_stretch_of_the_index_by_date(planner: Planner, sort: str, period: str) -> None:
    plan = await planner.plan(f"/expenses?{period}&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_DATE
    assert not plan.is_sorted
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("category", ["c3", "C17"])
@pytest.mark.parametrize("sort", ["-date", "date"])
async def test_a_category_in_the_order_of_dates_is_read_from_its_index(
    planner: Planner, sort: str, category: str
) -> None:
    plan = await planner.plan(f"/expenses?category={category}&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_CATEGORY
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("sort", ["-date", "date"])
async def test_a_payee_in_the_order_of_dates_is_read_from_its_index(planner: Planner, sort: str) -> None:
    plan = await planner.plan(f"/expenses?payee=P17&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_PAYEE
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


async def test_a_rare_tag_is_read_from_the_index_of_tags(planner: Planner) -> None:
    plan = await planner.plan(f"/expenses?tag=rare&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_TAGS
    assert plan.rows_read <= READS_A_ROW * MINE / 100 + 2 * SLACK


@pytest.mark.parametrize(("path", "index"), [("/tags", BY_TAGS), ("/categories", BY_CATEGORY)])
async def test_use_is_counted_by_an_index_alone(planner: Planner, path: str, index: str) -> None:
    plan = await planner.plan(f"{path}?with_usage=true")
    assert plan.indexes["expenses"] == index
    assert "expenses" in plan.covered


async def test_what_has_no_category_is_read_from_the_index_of_categories(planner: Planner) -> None:
    plan = await planner.plan(f"/expenses?uncategorized=true&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_CATEGORY
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("bound", ["min_amount=400", "max_amount=200", "min_amount=100&max_amount=110"])
@pytest.mark.parametrize("sort", ["-amount", "amount"])
async def test_a_range_of_amounts_is_a_stretch_of_the_index_by_amount(planner: Planner, sort: str, bound: str) -> None:
    plan = await planner.plan(f"/expenses?{bound}&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_AMOUNT
    assert not plan.is_sorted
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("sort", ["-amount", "amount"])
async def test_a_day_in_the_order_of_amounts_reads_the_rows_of_that_day(planner: Planner, sort: str) -> None:
    plan = await planner.plan(f"/expenses?period=2024-06-15&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_DATE
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("sort", ["-date", "date"])
async def test_a_rare_amount_in_the_order_of_dates_reads_the_rows_of_that_amount(planner: Planner, sort: str) -> None:
    plan = await planner.plan(f"/expenses?min_amount=500.9&sort={sort}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_AMOUNT
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("sort", ["-date", "date"])
async def test_a_page_far_down_among_amounts_is_walked_to_by_date(planner: Planner, sort: str) -> None:
    path = f"/expenses?min_amount=300&sort={sort}&limit=200"
    cursor = ""
    for _ in range(10):
        page = await planner.person.get(path + cursor)
        cursor = f"&cursor={page.json()['next_cursor']}"
    plan = await planner.plan(path.replace("200", str(PAGE)) + cursor)
    assert plan.indexes["expenses"] == BY_DATE
    assert plan.rows_read <= 2 * READS_A_ROW * (PAGE + 1) + 2 * SLACK


async def test_an_external_id_is_looked_up(planner: Planner) -> None:
    plan = await planner.plan("/expenses?external_id=x4711")
    assert plan.indexes["expenses"] == BY_EXTERNAL_ID
    assert plan.rows_read <= SLACK


async def test_one_expense_is_looked_up(planner: Planner) -> None:
    (expense,) = (await planner.person.get("/expenses", params={"category": "c3", "limit": 1})).json()["items"]
    plan = await planner.plan(f"/expenses/{expense['id']}")
    assert plan.indexes == {"expenses": "PRIMARY", "categories": "PRIMARY", "tag_sets": "PRIMARY"}
    assert plan.rows_read <= SLACK


async def test_a_count_reads_an_index_alone(planner: Planner) -> None:
    plan = await planner.plan("/expenses?with_count=true&limit=1")
    assert "expenses" in plan.covered
    assert plan.rows_read <= MINE + SLACK


@pytest.mark.parametrize("query", ["", "&period=2024", "&min_amount=100&currency=EUR"])
async def test_the_totals_of_a_list_are_read_from_the_index_of_reports_alone(planner: Planner, query: str) -> None:
    plan = await planner.plan(f"/expenses?with_totals=true&limit=1{query}")
    assert plan.indexes["expenses"] == BY_REPORT
    assert "expenses" in plan.covered


async def test_the_use_of_categories_is_read_from_their_index_alone(planner: Planner) -> None:
    plan = await planner.plan("/categories?with_usage=true")
    assert plan.indexes["expenses"] == BY_CATEGORY
    assert "expenses" in plan.covered
    assert not plan.is_stored
    assert not plan.is_sorted
    assert plan.rows_read <= MINE + SLACK


@pytest.mark.parametrize(
    ("query", "spans"),
    [
        ("group_by=day", 1),
        ("group_by=month&group_by=category", 1),
        ("group_by=month&group_by=tag", 1),
        ("group_by=parent", 1),
        ("group_by=category&compare=last-year", 2),
        ("", 1),
        ("currency=EUR&min_amount=1&group_by=week", 1),
    ],
)
async def test_a_report_reads_its_span_of_the_index_that_covers_it(planner: Planner, query: str, spans: int) -> None:
    plan = await planner.plan(f"/reports/spending?period=2024&{query}")
    in_span = (await planner.person.get("/reports/spending?period=2024")).json()["totals"][0]["count"]
    assert plan.indexes["expenses"] == BY_REPORT
    assert "expenses" in plan.covered
    # A row of the index is read once, and once more its sum where the groups lie in another order than the index.
    assert plan.rows_read <= 2.5 * spans * in_span + SLACK


async def test_a_report_by_payee_reads_the_same_index_and_then_each_payees_last_expense(planner: Planner) -> None:
    last = await planner.plan("/reports/spending?period=2024&group_by=payee")
    sums = planner.explain(next(sent for sent in planner.sent if "GROUP BY" in sent))
    assert sums.indexes["expenses"] == BY_REPORT
    assert "expenses" in sums.covered
    assert last.rows_read <= 5 * 100 + SLACK


async def test_payees_are_counted_by_an_index_alone(planner: Planner) -> None:
    await planner.person.get("/payees")
    planner.sent.clear()
    await planner.person.get("/payees?q=7")
    sums = planner.explain(next(sent for sent in planner.sent if "GROUP BY" in sent))
    assert sums.indexes["expenses"] == BY_REPORT
    assert "expenses" in sums.covered


async def test_whether_other_payees_have_an_expense_is_looked_up_for_each(planner: Planner) -> None:
    planner.add_payees(4_000)
    planner.sent.clear()
    await planner.person.get("/payees?limit=110")
    others = planner.explain(next(sent for sent in planner.sent if "NOT IN" in sent))
    assert not others.is_stored
    assert others.rows_read <= 3 * 4_100


async def test_a_report_by_day_and_category_groups_as_the_index_lies(planner: Planner) -> None:
    plan = await planner.plan("/reports/spending?period=2024&group_by=month&group_by=category")
    assert not plan.is_stored
    assert not plan.is_sorted


async def test_the_open_end_of_a_report_without_filters_is_looked_up(planner: Planner) -> None:
    planner.sent.clear()
    await planner.person.get("/reports/spending?from=2024-06-01")
    [end] = [sent for sent in planner.sent if "LIMIT 1" in sent and "FROM expenses" in sent]
    assert planner.explain(end).rows_read <= 2


async def test_the_status_of_budgets_reads_its_windows_alone(planner: Planner) -> None:
    await planner.person.post("/budgets", json={"amount": "5.00", "period": "month", "category": "c3"})
    plan = await planner.plan("/budgets/status?on=2024-06-15")
    assert plan.indexes["expenses"] == BY_REPORT
    # With each sum comes its category, for the parent of it.
    assert plan.rows_read <= 3 * MINE / 48 + 100


async def test_whether_a_category_is_in_use_reads_one_row(planner: Planner) -> None:
    category = (await planner.person.post("/categories", json={"name": "unused"})).json()
    plan = await planner.plan(f"/categories/{category['id']}", method="DELETE")
    assert plan.indexes["expenses"] is not None
    assert plan.rows_read <= SLACK


async def test_who_is_calling_is_looked_up(planner: Planner) -> None:
    plan = await planner.plan("/users/me", "users INNER JOIN sessions")
    assert plan.indexes == {"sessions": "uq_sessions_sid", "users": "PRIMARY", "ledgers": "PRIMARY"}
    assert plan.rows_read <= SLACK


async def test_a_name_or_an_email_is_looked_up(planner: Planner) -> None:
    form = {"username": planner.person.user["email"], "password": planner.person.password}
    planner.sent.clear()
    await planner.person.post("/users/token", data=form)
    plan = planner.explain(next(sent for sent in planner.sent if "username_key" in sent))
    assert plan.indexes == {"users": "uq_users_username_key,uq_users_email_key"}
    assert plan.rows_read <= SLACK


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("ledgers", "PRIMARY"),
        ("categories", "uq_categories_owner_id_name_key"),
        ("expenses", BY_EXTERNAL_ID),
    ],
)
async def test_what_a_new_expense_needs_is_looked_up(planner: Planner, table: str, index: str) -> None:
    body = {"amount": "1.00", "category": "C5", "external_id": f"new {table}"}
    plan = await planner.plan("/expenses", table, "POST", json=body)
    assert plan.indexes[table] == index
    assert plan.rows_read <= SLACK


async def test_what_lies_in_the_trash_is_looked_up(planner: Planner) -> None:
    body = {"amount": "1.00", "external_id": "thrown away"}
    made = (await planner.person.post("/expenses", json=body)).json()
    await planner.person.delete(f"/expenses/{made['id']}")
    plan = await planner.plan("/expenses", "trash", "POST", json=body)
    assert plan.indexes["trash"] == "uq_trash_owner_id_external_id"
    assert plan.rows_read <= SLACK


@pytest.mark.parametrize("since", [0, MINE // 2])
async def test_what_changed_is_read_in_the_order_of_revisions(planner: Planner, since: int) -> None:
    plan = await planner.plan(f"/changes?since={since}&limit={PAGE}")
    assert plan.indexes["expenses"] == BY_REVISION["expenses"]
    assert not plan.is_sorted
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


@pytest.mark.parametrize("table", ["categories", "budgets", "tombstones"])
async def test_what_else_changed_is_read_in_the_order_of_revisions(planner: Planner, table: str) -> None:
    plan = await planner.plan(f"/changes?since=1&limit={PAGE}", table)
    assert plan.indexes[table] == BY_REVISION[table]


async def test_one_change_of_many_rows_is_paged_without_reading_them_again(planner: Planner) -> None:
    changed = await planner.person.patch("/expenses?period=2022-12", json={"description": "december"})
    since = changed.json()["revision"] - 1
    page = (await planner.person.get(f"/changes?since={since}&limit=200")).json()
    plan = await planner.plan(f"/changes?since={since}&limit={PAGE}&cursor={page['next_cursor']}")
    assert changed.json()["matched"] > 400
    assert plan.rows_read <= READS_A_ROW * (PAGE + 1) + SLACK


async def test_the_trash_is_read_in_the_order_of_deletions(planner: Planner) -> None:
    await planner.person.delete("/expenses?period=2022-11-30")
    plan = await planner.plan("/expenses/trash?limit=5", "trash")
    assert plan.indexes["trash"] == BY_REVISION["trash"]
    assert not plan.is_sorted


# --- imports ----------------------------------------------------------------------------------------------------------

KNOW_ALL = text("""
    INSERT INTO imported_rows (owner_id, source, row_key, occurrence, expense_id, spent_on, amount, currency)
    SELECT owner_id, '', CONCAT('f', SHA2(id, 256)), 1, id, spent_on, amount, currency FROM expenses
""")
FILE = 40


@pytest.fixture
async def asked(planner: Planner) -> Callable[[str], Plan]:
    """Let a file of rows that the ledger knows be previewed; return what explains the statement with these words."""
    connection = planner._connection
    if connection.execute(text("SELECT COUNT(*) FROM imported_rows")).scalar_one() == 0:
        connection.execute(KNOW_ALL)
        connection.exec_driver_sql("ANALYZE TABLE imported_rows")
    found = connection.execute(text("SELECT id, amount FROM expenses WHERE spent_on = '2024-03-01' LIMIT 10")).all()
    known = [draft("2024-03-01", fingerprint=sha256(str(it.id).encode()).hexdigest()) for it in found]
    amounts = [f"{it.amount / 1000:.2f}" for it in found]
    new = [draft(f"2024-03-{day:02}", amount) for day, amount in enumerate(amounts * 3, start=1)]
    planner.sent.clear()
    await load(planner.person, reading(*known, *new, source=None), source="unnamed", dry_run=True)
    by_id = [draft(str(it.date), str(it.amount), bank_id=str(number)) for number, it in enumerate(new)]
    await load(planner.person, reading(*by_id, source=None), source="unnamed", dry_run=True)
    await load(planner.person, reading(*new, source="another account"), dry_run=True)
    await load(planner.person, reading(*new, source=None), dry_run=True)

    def explain_sent(words: str) -> Plan:
        return planner.explain(next(sent for sent in planner.sent if words in sent))

    return explain_sent


def test_what_is_known_of_a_file_is_looked_up_by_its_keys(asked: Callable[[str], Plan]) -> None:
    plan = asked("imported_rows.row_key IN")
    assert plan.indexes == {
        "imported_rows": "uq_imported_rows_owner_id_row_key_source_occurrence",
        "expenses": "PRIMARY",
    }
    assert plan.rows_read <= 4 * FILE


def test_what_lies_near_the_rows_of_a_file_is_read_from_the_index_of_reports(asked: Callable[[str], Plan]) -> None:
    plan = asked("expenses.amount) IN")
    assert plan.indexes["expenses"] == BY_REPORT
    assert "expenses" in plan.covered
    # The days of the file, and three before and after them.
    assert plan.rows_read <= MINE * 45 / 1461 + SLACK


def test_how_expenses_were_imported_is_looked_up(asked: Callable[[str], Plan]) -> None:
    plan = asked("imported_rows.expense_id IN")
    assert plan.indexes["imported_rows"] == "ix_imported_rows_owner_id_expense_id"
    assert plan.rows_read <= MINE / 10


def test_what_a_source_knows_of_some_days_is_read_by_its_index(asked: Callable[[str], Plan]) -> None:
    plan = asked("SELECT imported_rows.row_key, imported_rows.expense_id")
    assert plan.indexes["imported_rows"] == "ix_imported_rows_owner_id_source_spent_on_row_key"
    assert plan.rows_read <= 4 * FILE + SLACK


@pytest.mark.parametrize("words", ["SELECT DISTINCT imported_rows.source", "imported_rows.amount IN"])
def test_what_files_of_the_account_said_is_read_by_the_same_index(asked: Callable[[str], Plan], words: str) -> None:
    plan = asked(words)
    assert plan.indexes["imported_rows"] == "ix_imported_rows_owner_id_source_spent_on_row_key"
    # The days of the file, and three before and after them.
    assert plan.rows_read <= MINE * 45 / 1461 + SLACK


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("expenses", BY_DATE),
        ("trash", BY_REVISION["trash"]),
        ("imported_rows", "uq_imported_rows_owner_id_row_key_source_occurrence"),
    ],
)
async def test_an_archive_reads_each_page_by_its_index(planner: Planner, table: str, index: str) -> None:
    plan = await planner.plan("/users/me/archive", table)
    assert plan.indexes[table] == index
    assert not plan.is_sorted
    # The expense, its category and its tags, or what a row of a file is, of each row of a page.
    assert plan.rows_read <= 4 * ARCHIVE_PAGE + SLACK
