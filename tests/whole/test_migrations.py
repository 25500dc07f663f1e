"""Migrations: up, down and up again, equal to the models, and run by one process at a time."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event, inspect, make_url, text

import migrations
from config import Settings
from database import Base
from infra.backup_files import write_aside
from infra.engines import CertificateError
from main import create_app
from migrations.errors import MigrationLocked, NewerSchema, SchemaError
from tests.support import forks
from tests.support.servers import ROOT, inherited, make_plain_engine
from tests.support.settings import GOOD_SECRET
from tests.support.whole_ledgers import fill

TABLES = set(Base.metadata.tables)
SCRIPTS = ScriptDirectory(str(migrations.FOLDER))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


@pytest.fixture
def outside(empty_database_url: str) -> Iterator[Connection]:
    """A connection to the test's own database, past the app."""
    with make_plain_engine(empty_database_url).connect() as connection:
        yield connection


def app_on(url: str, *, auto_migrate: bool = False) -> FastAPI:
    secret = SecretStr(GOOD_SECRET)
    return create_app(
        Settings(database_url=url, secret_key=secret, bcrypt_rounds=4, auto_migrate=auto_migrate, _env_file=None)
    )


def tables_of(url: str) -> set[str]:
    with make_plain_engine(url).connect() as connection:
        return tables(connection)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


# --- up and down ------------------------------------------------------------------------------------------------------


def test_up_down_and_up_again(empty_database_url: str, outside: Connection) -> None:
    for revision in REVISIONS:
        migrations.upgrade(empty_database_url, revision)
    assert tables(outside) == TABLES
    assert migrations.read_current_revision(outside) == migrations.read_newest_revision()
    outside.rollback()
    migrations.downgrade(empty_database_url, "base")
    assert tables(outside) == set()
    assert migrations.read_current_revision(outside) is None
    outside.rollback()
    migrations.upgrade(empty_database_url)
    assert tables(outside) == TABLES


def test_what_ledgers_keep_is_counted_when_the_counters_come(empty_database_url: str, outside: Connection) -> None:
    before = SCRIPTS.get_revision("7b3f0e92d5a6").down_revision
    migrations.upgrade(empty_database_url)
    fill(empty_database_url)
    counters = text(
        "SELECT owner_id, expense_count, text_bytes, trash_count, answer_bytes FROM ledgers ORDER BY owner_id"
    )
    migrations.downgrade(empty_database_url, str(before))
    migrations.upgrade(empty_database_url)

    # The payees and tags are gone with the older schema.
    assert [tuple(row) for row in outside.execute(counters)] == [(1, 2, 36, 1, 210), (2, 1, 12, 0, 0)]


BEFORE_PAYEES = SCRIPTS.get_revision("e4a1c7305b98").down_revision
KEYS = text("SELECT description_key FROM expenses UNION ALL SELECT description_key FROM trash")


def describe(connection: Connection, description: str, key: str) -> None:
    for table in ("expenses", "trash"):
        changed = text(f"UPDATE {table} SET description = :text, description_key = :key")  # noqa: S608  # of our own names
        connection.execute(changed, {"text": description, "key": key})
    connection.commit()


def test_the_keys_of_texts_lose_their_accents_and_get_them_back(empty_database_url: str, outside: Connection) -> None:
    migrations.upgrade(empty_database_url)
    fill(empty_database_url)
    migrations.downgrade(empty_database_url, str(BEFORE_PAYEES))
    describe(outside, "Café in Łódź", "café in łódź")
    migrations.upgrade(empty_database_url)
    newer = set(outside.execute(KEYS).scalars())
    outside.rollback()
    migrations.downgrade(empty_database_url, str(BEFORE_PAYEES))

    assert newer == {"cafe in lodz"}
    assert set(outside.execute(KEYS).scalars()) == {"café in łódź"}


def test_the_feed_of_an_older_schema_has_no_deleted_tags(empty_database_url: str, outside: Connection) -> None:
    migrations.upgrade(empty_database_url)
    fill(empty_database_url)
    outside.execute(text("INSERT INTO tombstones VALUES (1, 'tag', 9, 5)"))
    outside.commit()
    migrations.downgrade(empty_database_url, str(BEFORE_PAYEES))
    counted = text("SELECT owner_id, text_bytes FROM ledgers ORDER BY owner_id")

    assert set(outside.execute(text("SELECT kind FROM tombstones")).scalars()) == {"expense"}
    assert [tuple(row) for row in outside.execute(counted)] == [(1, 36), (2, 12)]


def test_ids_are_not_used_again_after_a_table_was_copied(empty_database_url: str, outside: Connection) -> None:
    migrations.upgrade(empty_database_url)
    fill(empty_database_url)
    migrations.downgrade(empty_database_url, str(BEFORE_PAYEES))
    outside.execute(text("UPDATE expenses SET id = 70 WHERE id = 3"))
    outside.execute(text(COPY_OF_AN_EXPENSE))
    outside.execute(text("DELETE FROM expenses WHERE id > 2"))
    outside.commit()
    migrations.upgrade(empty_database_url)
    outside.execute(text(COPY_OF_AN_EXPENSE))

    assert outside.execute(text("SELECT MAX(id) FROM expenses")).scalar_one() == 72


COPY_OF_AN_EXPENSE = """
    INSERT INTO expenses (owner_id, amount, currency, spent_on, revision, created_at, updated_at)
    SELECT owner_id, amount, currency, spent_on, revision, created_at, updated_at FROM expenses WHERE id = 1
"""


def test_a_second_upgrade_changes_nothing(empty_database_url: str, outside: Connection) -> None:
    migrations.upgrade(empty_database_url)
    outside.execute(
        text(
            "INSERT INTO users (username, username_key, email, email_key, password_hash, currency, timezone, "
            "month_start_day, created_at, updated_at) "
            "VALUES ('ada', 'ada', 'a@b.c', 'a@b.c', '', 'EUR', 'UTC', 1, '2026-01-01', '2026-01-01')"
        )
    )
    outside.commit()
    migrations.upgrade(empty_database_url)
    assert outside.scalar(text("SELECT username FROM users")) == "ada"


def test_the_migrated_database_is_what_the_models_say(database_url: str) -> None:
    with migrations._lock_for_migration(make_url(database_url)) as connection:
        migrations._run_alembic("check", connection)


def test_the_revisions_are_those_that_alembic_knows() -> None:
    assert migrations._read_revisions() == {it.revision: it.down_revision for it in SCRIPTS.walk_revisions()}
    assert migrations.read_newest_revision() == SCRIPTS.get_current_head()


def test_the_revisions_are_a_line_from_one_base_to_one_head() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert len(SCRIPTS.get_bases()) == 1


def test_every_table_on_mysql_compares_bytes(mysql_url: str) -> None:
    with make_plain_engine(mysql_url).connect() as connection:
        found = connection.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns "
                "WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> 'alembic_version'"
            )
        )
        assert found.scalars().all() == ["utf8mb4_bin"]


@pytest.fixture(params=[0o022, 0o000], ids=["umask-022", "umask-000"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """A mask with which others can read, or even write, new files, unless their maker says otherwise."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def read_modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in folder.iterdir() if path.is_file()}


@pytest.mark.usefixtures("umask")
def test_the_files_of_a_new_database_are_its_users_alone(tmp_path: Path) -> None:
    migrations.upgrade(f"sqlite+aiosqlite:///{tmp_path}/expenses.db")
    with closing(sqlite3.connect(tmp_path / "expenses.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE others (id)")
        modes = read_modes(tmp_path)

    assert modes == dict.fromkeys(("expenses.db", "expenses.db-wal", "expenses.db-shm", "expenses.db.lock"), "600")


@pytest.mark.usefixtures("umask")
def test_the_file_that_alembics_own_command_makes_is_its_users_alone(tmp_path: Path) -> None:
    environment = inherited() | {"DATABASE_URL": f"sqlite:///{tmp_path}/expenses.db", "SECRET_KEY": ""}
    subprocess.run([sys.executable, "-m", "alembic", "current"], cwd=ROOT, env=environment, check=True)

    assert read_modes(tmp_path) == {"expenses.db": "600"}


def test_alembics_own_command_finds_the_configured_database(sqlite_url: str) -> None:
    environment = inherited() | {"DATABASE_URL": sqlite_url, "SECRET_KEY": ""}
    ended = forks.run(["-m", "alembic", "check"], ROOT, environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# --- one at a time ----------------------------------------------------------------------------------------------------


# A process of its own, which has loaded all that a migration needs, has children upgrade a database, all at once. Each
# is killed after the statement that it is told, if any.
UPGRADES_IN_CHILDREN = """
import json, os, signal, sys
import migrations
from sqlalchemy import Engine, event

def upgrade(url, last, gate):
    @event.listens_for(Engine, "after_cursor_execute")
    def die_half_way(connection, cursor, statement, *_):
        if last and statement.strip().startswith(last):
            os.kill(os.getpid(), signal.SIGKILL)

    os.read(gate, 1)
    migrations.upgrade(url)
    os._exit(0)

for line in sys.stdin:
    url, statements = json.loads(line)
    gate, go = os.pipe()
    children = [os.fork() or (os.close(go), upgrade(url, last, gate)) for last in statements]
    os.close(go)
    os.close(gate)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)
"""
UpgradeInProcesses = Callable[..., list[int]]


@pytest.fixture(scope="module")
def upgrade_in_processes() -> Iterator[UpgradeInProcesses]:
    """Upgrade a database in one process for each statement, which is its last; return how the processes ended."""
    command = [sys.executable, "-W", "error", "-c", UPGRADES_IN_CHILDREN]
    with subprocess.Popen(
        command, cwd=ROOT, env=inherited(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as parent:
        asked, answered = parent.stdin, parent.stdout
        assert asked
        assert answered

        def upgrade(url: str, *statements: str | None) -> list[int]:
            asked.write(f"{json.dumps([url, statements])}\n")
            return list(json.loads(answered.readline()))

        yield upgrade
        asked.close()


def test_two_processes_that_start_at_once_migrate_once(
    upgrade_in_processes: UpgradeInProcesses, empty_database_url: str
) -> None:
    assert upgrade_in_processes(empty_database_url, None, None) == [0, 0]
    assert tables_of(empty_database_url) == TABLES


def test_on_mysql_a_migration_waits_for_the_one_that_runs(
    empty_mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0)
    with (
        migrations._lock_for_migration(make_url(empty_mysql_url)),
        pytest.raises(MigrationLocked, match="Another process has been migrating"),
    ):
        migrations.upgrade(empty_mysql_url)
    migrations.upgrade(empty_mysql_url)


# In the order of the migration. MySQL commits after each of these, and the next process runs again what was cut off
# there.
ON_MYSQL = (
    "CREATE TABLE IF NOT EXISTS ledgers",
    "CREATE TABLE IF NOT EXISTS remembered_answers",
    "CREATE INDEX ix_remembered_answers_owner_id_created_at",
    "CREATE INDEX ix_budgets_owner_id_revision_id",
    "CREATE INDEX ix_trash_owner_id_revision_id",
    "ALTER TABLE ledgers ADD COLUMN swept_on",
    "ALTER TABLE sessions ADD COLUMN last_used_at",
    "ALTER TABLE sessions ADD COLUMN generation",
    "CREATE TABLE IF NOT EXISTS refresh_tokens",
    "CREATE INDEX ix_refresh_tokens_owner_id_session_id",
    "CREATE TABLE IF NOT EXISTS personal_tokens",
    "CREATE INDEX ix_personal_tokens_owner_id_id",
    "CREATE TABLE IF NOT EXISTS familiar_networks",
    "CREATE TABLE IF NOT EXISTS attempts",
    "CREATE TABLE IF NOT EXISTS invites",
    "ALTER TABLE ledgers ADD COLUMN text_bytes",
    "ALTER TABLE ledgers ADD COLUMN answer_bytes",
    "UPDATE ledgers",
)
# On SQLite each is undone with its revision: the first and the last of both revisions that have several.
ON_SQLITE = (ON_MYSQL[0], ON_MYSQL[4], ON_MYSQL[5], "CREATE TABLE IF NOT EXISTS attempts", ON_MYSQL[-1])


@pytest.mark.parametrize(
    ("empty_database_url", "statements"),
    [("sqlite", ON_SQLITE), ("mysql", ON_MYSQL)],
    indirect=["empty_database_url"],
    ids=["sqlite", "mysql"],
)
def test_a_migration_that_was_killed_half_way_can_be_run_again(
    upgrade_in_processes: UpgradeInProcesses, empty_database_url: str, statements: tuple[str, ...]
) -> None:
    ended = [(last, *upgrade_in_processes(empty_database_url, last)) for last in statements]
    assert ended == [(last, -signal.SIGKILL) for last in statements]
    migrations.upgrade(empty_database_url)
    assert tables_of(empty_database_url) == TABLES


# In the order of the downgrade; on SQLite each revision is undone as a whole.
UNDONE_ON_MYSQL = (
    "ALTER TABLE ledgers DROP COLUMN answer_bytes",
    "DROP TABLE IF EXISTS invites",
    "DROP TABLE IF EXISTS attempts",
    "DROP TABLE IF EXISTS refresh_tokens",
    "ALTER TABLE sessions DROP COLUMN generation",
    "ALTER TABLE sessions DROP COLUMN last_used_at",
    "ALTER TABLE ledgers DROP COLUMN swept_on",
    "DROP INDEX ix_trash_owner_id_revision_id",
    "DROP TABLE IF EXISTS remembered_answers",
    "DROP TABLE IF EXISTS budgets",
    "DROP TABLE IF EXISTS trash",
    "DROP TABLE IF EXISTS users",
)


class CutOff(Exception):
    """The process has ended here."""


def cut_off(url: str, last: str) -> str:
    """Downgrade a database, and end after the statement that begins with `last`; return it."""

    def end(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.strip().startswith(last):
            raise CutOff(last)

    event.listen(Engine, "after_cursor_execute", end)
    try:
        with pytest.raises(CutOff) as ended:
            migrations.downgrade(url, "base")
    finally:
        event.remove(Engine, "after_cursor_execute", end)
    return str(ended.value)


def test_on_mysql_a_downgrade_that_was_cut_off_can_be_run_again(empty_mysql_url: str) -> None:
    migrations.upgrade(empty_mysql_url)
    assert [cut_off(empty_mysql_url, last) for last in UNDONE_ON_MYSQL] == list(UNDONE_ON_MYSQL)
    migrations.downgrade(empty_mysql_url, "base")
    assert tables_of(empty_mysql_url) == set()


@pytest.fixture
def _no_lock_file(empty_sqlite_url: str) -> None:
    # A folder in the place of the lock file: root may write into a read-only one.
    Path(f"{make_url(empty_sqlite_url).database}.lock").mkdir()


@pytest.mark.usefixtures("_no_lock_file")
async def test_a_start_in_a_folder_that_cannot_be_used_says_so(empty_sqlite_url: str) -> None:
    with pytest.raises(SchemaError, match="its folder: "):
        await start(app_on(empty_sqlite_url))


async def test_a_start_that_waits_too_long_for_another_migration_says_so(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0)
    with migrations._lock_for_migration(make_url(empty_database_url)), pytest.raises(MigrationLocked, match="a minute"):
        await start(app_on(empty_database_url, auto_migrate=True))


def test_during_a_restore_no_database_is_made_in_its_place(
    empty_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0)
    database = Path(str(make_url(empty_sqlite_url).database))
    with write_aside(database), pytest.raises(MigrationLocked):
        migrations.upgrade(empty_sqlite_url)

    assert not database.exists()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        migrations.upgrade(f"sqlite+aiosqlite:///{tmp_path}/misspelt/expenses.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("auto_migrate", [False, True])
async def test_a_start_without_the_certificate_that_is_set_says_so(auto_migrate: bool) -> None:
    app = app_on("mysql://ada:hunter2@127.0.0.1:1/expenses?ssl_ca=missing.pem", auto_migrate=auto_migrate)
    with pytest.raises(CertificateError, match=r"ssl_ca=missing\.pem cannot be used \(No such file"):
        await start(app)


# --- another schema ---------------------------------------------------------------------------------------------------


async def start(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        pass


async def test_an_embedded_database_is_migrated_at_start(empty_sqlite_url: str) -> None:
    await start(app_on(empty_sqlite_url))
    assert tables_of(empty_sqlite_url) == TABLES


async def test_on_mysql_an_empty_database_is_refused_with_what_to_run(empty_mysql_url: str) -> None:
    with pytest.raises(SchemaError, match="make migrate"):
        await start(app_on(empty_mysql_url))


async def test_on_mysql_the_start_migrates_where_it_may(empty_mysql_url: str) -> None:
    settings = Settings(
        database_url=empty_mysql_url, secret_key=SecretStr(GOOD_SECRET), auto_migrate=True, _env_file=None
    )
    await start(create_app(settings))
    await start(app_on(empty_mysql_url))


async def test_a_newer_schema_is_refused_with_a_sentence(empty_database_url: str, outside: Connection) -> None:
    migrations.upgrade(empty_database_url)
    outside.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))
    outside.commit()
    with pytest.raises(NewerSchema, match="deploy the newer code"):
        await start(app_on(empty_database_url))
    with pytest.raises(NewerSchema, match="deploy the newer code"):
        migrations.upgrade(empty_database_url)


@pytest.fixture
def two_revisions(empty_database_url: str, outside: Connection) -> str:
    """A database that two processes have migrated at once."""
    migrations.upgrade(empty_database_url)
    outside.execute(text("INSERT INTO alembic_version (version_num) VALUES (:older)"), {"older": REVISIONS[0]})
    outside.commit()
    return empty_database_url


def test_a_database_with_two_revisions_is_not_migrated_and_says_what_it_is(two_revisions: str) -> None:
    with pytest.raises(SchemaError, match=r"alembic_version has 2 rows .* delete all but the newest"):
        migrations.upgrade(two_revisions)


async def test_a_service_does_not_start_on_a_database_with_two_revisions(two_revisions: str) -> None:
    with pytest.raises(SchemaError):
        await start(app_on(two_revisions))
