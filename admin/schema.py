"""The schema of the configured database: brought up to date, or asked about before another command uses it."""

from argparse import Namespace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

import migrations
from admin.console import OperatorError, say
from config import Settings
from database import Database
from migrations import SchemaState
from migrations.errors import SchemaError


def migrate(settings: Settings, _: Namespace) -> None:
    """Upgrade the schema of the configured database to the newest revision, and print the old and the new revision."""
    try:
        before = _read_revision(settings)
        migrations.upgrade(settings.url)
        after = _read_revision(settings)
    except (DBAPIError, OSError, SchemaError) as error:
        raise OperatorError(f"{write_url(settings)} was not migrated: {getattr(error, 'orig', error)}") from None
    say(f"{write_url(settings)}: {before or 'empty'} → {after}" + " (nothing to do)" * (before == after))


def _read_revision(settings: Settings) -> str | None:
    if _is_missing(settings):
        return None
    with migrations.make_sync_engine(settings.url).connect() as connection:
        return migrations.read_current_revision(connection)


def write_url(settings: Settings) -> str:
    """Return the URL of the database without its password."""
    return settings.url.render_as_string(hide_password=True)


def refuse_missing(settings: Settings) -> None:
    """Raise OperatorError if there is no SQLite file at the configured place."""
    if _is_missing(settings):
        raise OperatorError(f"There is no database at {write_url(settings)}; is this the folder of the service's .env?")


def _is_missing(settings: Settings) -> bool:
    return settings.is_embedded and not Path(str(settings.url.database)).exists()


async def refuse_unready(settings: Settings, database: Database) -> None:
    """Raise OperatorError if the database does not answer, or has another schema than this code."""
    state = await migrations.check_schema(database)
    if state is SchemaState.NO_ANSWER:
        raise OperatorError(f"{write_url(settings)} does not answer.")
    try:
        migrations.refuse_state(state)
    except SchemaError as error:
        raise OperatorError(f"{write_url(settings)}: {error}") from None
