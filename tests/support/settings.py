"""Settings, and a fixed time, that many tests use."""

from datetime import UTC, datetime
from typing import Final

from config import Settings
from tests.support.servers import UNLIMITED

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOOD_SECRET: Final = "5f0c1d6b8e9a47239b1f7c2e4d8a6035f1b2c3d4e5f60718"


def sharing(settings: Settings, database_url: str) -> dict[str, str]:
    """Return the environment of another process with this app's key, on this database."""
    assert settings.secret_key
    return {"DATABASE_URL": database_url, "SECRET_KEY": settings.secret_key.get_secret_value()}


def limited(settings: Settings) -> Settings:
    """Return the settings with the default limits of the throttle."""
    return settings.model_copy(update={name: Settings.model_fields[name].default for name in UNLIMITED})
