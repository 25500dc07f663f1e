"""The application: the middleware that every answer passes, and the start."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

import migrations
from config import Settings
from main import create_app

SECRET = "5c1f0e9a7d3b48266b1e0f4a9c8d7e21"


def test_two_applications_share_nothing(tmp_path: object) -> None:
    one, other = (
        create_app(Settings(database_url=f"sqlite:///{tmp_path}/{name}.db", _env_file=None)) for name in ("a", "b")
    )
    one.state.mark = "one"
    assert not hasattr(other.state, "mark")
    assert one.openapi() is not other.openapi()


def test_building_the_application_opens_nothing() -> None:
    app = create_app(
        Settings(database_url="mysql://nobody@127.0.0.1:1/x", secret_key=SecretStr(SECRET), _env_file=None)
    )
    assert not hasattr(app.state, "services")


@pytest.mark.parametrize(
    "path", ["/", "/health", "/ready", "/currencies", "/docs", "/redoc", "/openapi.json", "/assets/swagger-ui.css"]
)
async def test_what_is_public_answers_without_a_token(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/nowhere", "/expenses", "/docs", "/assets/swagger-ui.css"])
async def test_every_answer_has_the_common_headers(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["X-Content-Type-Options"] == "nosniff"


async def test_the_database_is_let_go_at_the_end(settings: Settings) -> None:
    app: FastAPI = create_app(settings)
    async with app.router.lifespan_context(app):
        database = app.state.services.database
        async with database.new_unit() as unit:
            await unit.connection()
    assert [pool._idle for pool in database.pools] == [[], []]


async def test_a_misspelt_setting_is_told_once_at_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "https://hunter2.example")
    app: FastAPI = create_app(settings)
    async with app.router.lifespan_context(app):
        told = [(it.levelname, it.getMessage()) for it in caplog.records if it.name == "expense_tracker"]
    assert told == [("WARNING", "CORS_ORIGIN in the environment is no setting: did you mean CORS_ORIGINS?")]


async def test_a_limit_that_may_be_meant_to_close_registration_is_told_at_the_start(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    unsaid = Settings.model_validate(settings.model_dump(exclude={"registration"}))
    app: FastAPI = create_app(unsaid)
    async with app.router.lifespan_context(app):
        [told] = [(it.levelname, it.getMessage()) for it in caplog.records if it.name == "expense_tracker"]
    assert told[0] == "WARNING"
    assert told[1].startswith("REGISTRATIONS_PER_ADDRESS=0 means no limit")


def let_others_read(file: Path) -> None:
    file.chmod(0o644)


def read_mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


async def test_files_of_the_database_that_others_can_use_are_told_at_the_start_and_not_changed(
    empty_sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(database_url=empty_sqlite_url, secret_key=SecretStr(SECRET), _env_file=None)
    file = Path(str(settings.url.database))
    migrations.upgrade(empty_sqlite_url)
    let_others_read(file)
    # As a service does that was killed: `-wal` and `-shm` are left, with the mode of the file.
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE others (id)")
        app: FastAPI = create_app(settings)
        async with app.router.lifespan_context(app):
            [told] = [(it.levelname, it.getMessage()) for it in caplog.records if it.name == "expense_tracker"]
    assert told[0] == "WARNING"
    assert f"run `chmod 600 {file} {file}-wal {file}-shm`." in told[1]
    assert read_mode(file) == 0o644
