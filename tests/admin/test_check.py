"""The check finds each kind of damage, which is done here by SQL."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

import migrations
from admin.check import MAX_NAMED, Report, Total, check_ledgers, hold_snapshot
from tests.support.servers import MySQL, make_plain_engine
from tests.support.whole_ledgers import ADA, BO, fill


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def whole_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of this module's own in which nothing is wrong."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('check') / 'expenses.db'}"
        else:
            server: MySQL = request.getfixturevalue("mysql_server")
            url = stack.enter_context(server.fresh_database())
        migrations.upgrade(url)
        fill(url)
        if request.param == "sqlite":
            # As the service does; otherwise no writer goes on beside a reader.
            with make_plain_engine(url).connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        yield url


@pytest.fixture
def connection(whole_url: str) -> Iterator[Connection]:
    """A connection that may break every rule, and is rolled back at the end."""
    with make_plain_engine(whole_url).connect() as connection:
        if connection.dialect.name == "mysql":
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        yield connection
        connection.rollback()


def _check(connection: Connection) -> Report:
    return check_ledgers(connection, "the newest", lambda _done, _total: None)


def _find(connection: Connection, *damages: str) -> list[tuple[int | None, str]]:
    for damage in damages:
        connection.execute(text(damage))
    return [(problem.owner_id, problem.code) for problem in _check(connection).problems]


def test_a_table_that_is_missing_is_named(empty_sqlite_url: str) -> None:
    migrations.upgrade(empty_sqlite_url)
    with make_plain_engine(empty_sqlite_url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE invites")

        problems = _check(connection).problems

    assert [problem.detail for problem in problems][:1] == ["The table invites is not there."]


def test_whole_ledgers_are_counted_and_nothing_is_wrong(connection: Connection) -> None:
    assert asdict(_check(connection)) == {
        "revision": "the newest",
        "ledgers": 2,
        "expenses": 3,
        "trashed": 1,
        "revisions": 10,
        "totals": [
            {"currency": "EUR", "count": 2, "total": "10.01"},
            {"currency": "JPY", "count": 1, "total": "900"},
        ],
        "problems": [],
    }


def test_a_database_without_ledgers_is_whole(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    with make_plain_engine(empty_database_url).connect() as connection:
        report = _check(connection)

    assert report == Report("the newest", ledgers=0, expenses=0, trashed=0, revisions=0)


@pytest.mark.parametrize(
    ("damage", "owner", "code"),
    [
        ("UPDATE ledgers SET expense_count = 3 WHERE owner_id = 1", ADA, "expense_count"),
        ("DELETE FROM expenses WHERE id = 3", BO, "expense_count"),
        ("UPDATE ledgers SET text_bytes = text_bytes + 1 WHERE owner_id = 2", BO, "text_bytes"),
        ("UPDATE expenses SET description = 'Äpples' WHERE id = 3", BO, "text_bytes"),
        ("UPDATE trash SET external_id = NULL", ADA, "text_bytes"),
        ("UPDATE ledgers SET trash_count = 0 WHERE owner_id = 1", ADA, "trash_count"),
        ("DELETE FROM trash", ADA, "trash_count"),
        ("UPDATE ledgers SET answer_bytes = 0 WHERE owner_id = 1", ADA, "answer_bytes"),
        ("UPDATE remembered_answers SET body = 'Apfel'", ADA, "answer_bytes"),
        ("UPDATE expenses SET revision = 6 WHERE id = 1", ADA, "revision_behind"),
        ("UPDATE categories SET revision = 6 WHERE id = 2", BO, "revision_behind"),
        ("UPDATE budgets SET revision = 6 WHERE id = 2", BO, "revision_behind"),
        ("INSERT INTO tombstones VALUES (2, 'expense', 99, 6)", BO, "revision_behind"),
        ("INSERT INTO tombstones VALUES (1, 'expense', 1, 5)", ADA, "live_and_deleted"),
        ("INSERT INTO tombstones VALUES (1, 'category', 1, 5)", ADA, "live_and_deleted"),
        ("INSERT INTO tombstones VALUES (2, 'budget', 2, 5)", BO, "live_and_deleted"),
        ("DELETE FROM tombstones", ADA, "deletion_not_noted"),
        ("UPDATE tombstones SET revision = 4", ADA, "deletion_not_noted"),
        ("INSERT INTO tombstones VALUES (2, 'tag', 2, 5)", BO, "live_and_deleted"),
        ("UPDATE tags SET revision = 6 WHERE id = 2", BO, "revision_behind"),
        ("UPDATE payees SET name_key = 'another' WHERE id = 2", BO, "text_bytes"),
        ("UPDATE tag_sets SET names = 'another' WHERE id = 1", ADA, "text_bytes"),
        ("UPDATE tag_sets SET tag_ids = '/2/3/' WHERE id = 2", BO, "wrong_tags"),
        ("UPDATE tag_sets SET tag_ids = '/1/' WHERE id = 2", BO, "wrong_tags"),
        ("UPDATE tag_sets SET tag_ids = '/99/' WHERE id = 2", BO, "wrong_tags"),
        ("UPDATE tags SET name = 'another' WHERE id = 2", BO, "wrong_tags"),
        ("DELETE FROM imported_rows WHERE owner_id = 1", ADA, "imported_count"),
        ("UPDATE imports SET options = '{1}' WHERE id = 2", BO, "text_bytes"),
        ("UPDATE import_profiles SET options = '{1}' WHERE id = 2", BO, "text_bytes"),
        ("UPDATE imports SET revision = 6 WHERE id = 1", ADA, "revision_behind"),
        ("UPDATE expenses SET import_id = 1 WHERE id = 3", BO, "orphans"),
        ("UPDATE expenses SET payee_id = NULL WHERE id = 3", BO, "no_payee"),
        ("UPDATE trash SET payee = NULL", ADA, "no_payee"),
        ("UPDATE expenses SET payee_id = 1 WHERE id = 3", BO, "orphans"),
        ("UPDATE expenses SET tag_set_id = 1 WHERE id = 3", BO, "orphans"),
        ("UPDATE categories SET parent_id = 1 WHERE id = 2", BO, "orphans"),
        ("UPDATE categories SET parent_id = 1 WHERE id = 1", ADA, "second_level"),
        ("UPDATE refresh_tokens SET owner_id = 1", ADA, "another_owners"),
        ("UPDATE refresh_tokens SET session_id = 99 WHERE owner_id = 2", BO, "orphans"),
        ("UPDATE expenses SET category_id = 99 WHERE id = 3", BO, "orphans"),
        ("UPDATE expenses SET category_id = 1 WHERE id = 3", BO, "orphans"),
        ("UPDATE trash SET category_id = 2", ADA, "orphans"),
        ("UPDATE budgets SET category_id = 1 WHERE id = 2", BO, "orphans"),
        ("UPDATE expenses SET amount = 0 WHERE id = 1", ADA, "wrong_amount"),
        ("UPDATE expenses SET amount = 12505 WHERE id = 1", ADA, "wrong_amount"),
        ("UPDATE expenses SET amount = -1000000000000000 WHERE id = 1", ADA, "wrong_amount"),
        ("UPDATE trash SET amount = 1", ADA, "wrong_amount"),
        ("UPDATE budgets SET amount = -100000 WHERE id = 2", BO, "wrong_amount"),
        ("UPDATE expenses SET currency = 'XXX' WHERE id = 1", ADA, "unknown_currency"),
        ("UPDATE users SET currency = 'eur' WHERE id = 1", ADA, "unknown_currency"),
    ],
)
def test_each_damage_is_found(connection: Connection, damage: str, owner: int, code: str) -> None:
    assert (owner, code) in _find(connection, damage)


def test_nothing_else_is_found_beside_one_damage(connection: Connection) -> None:
    assert _find(connection, "UPDATE ledgers SET expense_count = 3 WHERE owner_id = 1") == [(ADA, "expense_count")]


def test_a_row_that_refers_to_nothing_is_told_once(connection: Connection) -> None:
    # On SQLite this is also a violation of the file.
    damages = _find(connection, "UPDATE refresh_tokens SET session_id = 99 WHERE owner_id = 2")

    assert damages == [(BO, "orphans")]


def test_an_account_without_a_ledger_is_found(connection: Connection) -> None:
    assert (BO, "no_ledger") in _find(connection, "DELETE FROM ledgers WHERE owner_id = 2")


def test_rows_without_an_account_are_found(connection: Connection) -> None:
    assert (BO, "orphans") in _find(connection, "DELETE FROM users WHERE id = 2")


_COPY_TO_TRASH = """
    INSERT INTO trash (id, owner_id, amount, currency, spent_on, revision, created_at, updated_at, deleted_at)
    SELECT id, owner_id, amount, currency, spent_on, revision, created_at, updated_at, updated_at FROM expenses
    WHERE id = 1
"""


def test_an_expense_that_is_live_and_in_the_trash_is_found(connection: Connection) -> None:
    noted = "INSERT INTO tombstones VALUES (1, 'expense', 1, 3)"
    counted = "UPDATE ledgers SET trash_count = 2 WHERE owner_id = 1"

    assert _find(connection, _COPY_TO_TRASH, noted, counted) == [(ADA, "live_and_trashed"), (ADA, "live_and_deleted")]


def test_a_second_budget_for_all_spending_is_found(connection: Connection) -> None:
    second = """
        INSERT INTO budgets (owner_id, amount, currency, period, revision, created_at, updated_at)
        SELECT owner_id, amount, currency, period, revision, created_at, updated_at FROM budgets WHERE owner_id = 2
    """

    assert _find(connection, second) == [(BO, "not_unique")]


def test_a_key_that_occurs_twice_is_found(empty_mysql_url: str) -> None:
    migrations.upgrade(empty_mysql_url)
    fill(empty_mysql_url)
    with make_plain_engine(empty_mysql_url).connect() as connection:
        drop = "ALTER TABLE users DROP INDEX uq_users_username_key"

        assert _find(connection, drop, "UPDATE users SET username_key = 'ada'") == [(ADA, "not_unique")]


def test_the_sum_of_amounts_is_exact_beyond_what_the_database_can_add(connection: Connection) -> None:
    connection.execute(text("UPDATE expenses SET amount = 9223372036854775000, currency = 'EUR'"))

    assert _check(connection).totals == [Total("EUR", 3, "27670116110564325.00")]


def test_of_many_ledgers_with_one_damage_a_hundred_are_named(connection: Connection) -> None:
    connection.execute(
        text("INSERT INTO ledgers (owner_id, expense_count) VALUES (:owner, 7)"),
        [{"owner": owner} for owner in range(3, MAX_NAMED + 5)],
    )

    miscounted = [problem for problem in _check(connection).problems if problem.code == "expense_count"]
    assert len(miscounted) == MAX_NAMED + 1
    assert miscounted[-1].owner_id is None


def test_a_problem_repeats_nothing_that_a_user_has_written(connection: Connection) -> None:
    connection.execute(text("UPDATE expenses SET amount = 0, category_id = 99, revision = 9"))
    said = " ".join(problem.detail for problem in _check(connection).problems)

    assert said
    assert [word for word in ("Apples", "ada", "Food", "bank-1", "example.com") if word in said] == []


def test_a_check_sees_one_moment_and_cannot_write(whole_url: str) -> None:
    engine = make_plain_engine(whole_url)
    with engine.connect() as connection, hold_snapshot(connection):
        before = _check(connection)
        with engine.begin() as writer:
            writer.execute(text("UPDATE ledgers SET revision = revision + 1"))
        after = _check(connection)
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            connection.execute(text("UPDATE ledgers SET revision = 0"))

    assert before == after


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    file = tmp_path / "expenses.db"
    url = f"sqlite+aiosqlite:///{file}"
    migrations.upgrade(url)
    fill(url)
    with make_plain_engine(url).connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        find = text("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = :name")
        page, size = connection.execute(find, {"name": "ix_expenses_owner_id_amount_id"}).one()
    with file.open("r+b") as stored:
        stored.seek((page - 1) * size)
        stored.write(bytes(size))
    with make_plain_engine(url).connect() as connection:
        codes = {problem.code for problem in _check(connection).problems}

    assert "file_damaged" in codes
