"""What a request costs with few and many users: the asked one has the same small ledger each time.

The users are inserted by SQL, each with a ledger and a session. The asked one is in the middle of those that were
inserted last.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, text

from benchmarks.questions import QUESTIONS, Answered, Asker, ask
from benchmarks.scale import DAYS, Scale, rest
from benchmarks.seeding import CHUNK, NUMBERS, Person, fill, find_newest_expense, set_budgets, sign_in, sign_up
from benchmarks.stage import Stage
from benchmarks.throughput import QUICK_HASHES
from benchmarks.workers import on, run_worker

SIZES: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
EXPENSES: Final = 1_000

_COUNT: Final = text("SELECT COUNT(*) FROM users")
_LAST: Final = text("SELECT MAX(id) FROM users")
_USERS: Final = text(f"""
    INSERT INTO users (username, username_key, email, email_key, password_hash, currency, timezone, month_start_day,
        created_at, updated_at)
    SELECT CONCAT('member', :start + n), CONCAT('member', :start + n), CONCAT('member', :start + n, '@example.com'),
        CONCAT('member', :start + n, '@example.com'), password_hash, currency, timezone, month_start_day,
        created_at, updated_at
    FROM ({NUMBERS}) AS numbers JOIN users ON users.id = :like
    WHERE n < :rows ORDER BY n
""")  # noqa: S608  # of our own numbers
_LEDGERS: Final = text("INSERT INTO ledgers (owner_id) SELECT id FROM users WHERE id > :last ORDER BY id")
_SESSIONS: Final = text("""
    INSERT INTO sessions (owner_id, sid, created_at, last_used_at, expires_at)
    SELECT id, MD5(CONCAT(id, RAND())), created_at, created_at, DATE_ADD(created_at, INTERVAL 30 DAY)
    FROM users WHERE id > :last ORDER BY id
""")


def measure(stage: Stage, sizes: Sequence[int] = SIZES) -> Scale:
    """Measure with more and more users."""
    answers: dict[str, list[Answered]] = {question.title: [] for question in QUESTIONS}
    with run_worker("main:app", {**stage.environment, **QUICK_HASHES}, stage.core) as service:
        model = sign_up(service.url, "first-member")
        for size in sizes:
            asker = _settle(stage, service.url, _add_users(stage.engine, model, size))
            rest(stage)
            with on(stage.others):
                for question in QUESTIONS:
                    answers[question.title].append(ask(service, stage.mariadb.process.pid, question, asker))
    return Scale("users, MariaDB", sizes, answers, {})


def _add_users(engine: Engine, model: Person, size: int) -> str:
    """Add users like the model until there are `size`; return the name of the one in the middle of the new ones."""
    with engine.begin() as connection:
        begin = int(connection.execute(_COUNT).scalar_one())
    size = max(size, begin + 1)  # other parts may have left more users than that
    for start in range(begin, size, CHUNK):
        with engine.begin() as connection:
            _add_chunk(connection, model, start, min(CHUNK, size - start))
    with engine.begin() as connection:
        connection.execute(text("ANALYZE TABLE users, ledgers, sessions"))
    return f"member{(begin + size) // 2}"


def _add_chunk(connection: Connection, model: Person, start: int, rows: int) -> None:
    last = {"last": connection.execute(_LAST).scalar_one()}
    connection.execute(_USERS, {"start": start, "rows": rows, "like": model.id})
    connection.execute(_LEDGERS, last)
    connection.execute(_SESSIONS, last)


def _settle(stage: Stage, url: str, name: str) -> Asker:
    person = sign_in(url, stage.engine, name)
    fill(stage.engine, person, EXPENSES, DAYS)
    set_budgets(url, person)
    return Asker(person, find_newest_expense(stage.engine, person))
