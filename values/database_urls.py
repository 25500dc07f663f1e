"""The URL of the database, as an operator writes it: checked, and with the driver that the service uses.

The database is not asked, only whether its driver is installed. The messages name DATABASE_URL and repeat nothing of
its value.
"""

import re
from importlib.util import find_spec
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mysql+aiomysql": "mysql+aiomysql",
    "mysql+asyncmy": "mysql+asyncmy",
    "mariadb": "mysql+aiomysql",
    "mariadb+aiomysql": "mysql+aiomysql",
    "mariadb+asyncmy": "mysql+asyncmy",
}
_CHOICES: Final = [f"{name}://…" for name in dict.fromkeys(_DRIVERS.values())]
_DATABASE_NAME: Final = re.compile("[^@/#?]+")
_TLS_PARAMETERS: Final = {"ssl_ca", "ssl_cert", "ssl_key"}
_UNREADABLE_URL: Final = (
    "DATABASE_URL cannot be read: write @ as %40, / as %2F, # as %23 and % as %25 in the password; the port is a number"
)


def check_database_url(url: str) -> str:
    """Return the URL with the service's driver; raise ValueError, whose message is for the operator."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(
            "DATABASE_URL is no database URL; write mysql+aiomysql://user:password@host/database"
        ) from None
    except ValueError:
        # After an unescaped @, what follows the next : is read as the port; or the port itself is no number.
        raise ValueError(_UNREADABLE_URL) from None
    if parsed.drivername not in _DRIVERS and parsed.drivername.partition("+")[0] in _DRIVERS:
        raise ValueError(f"DATABASE_URL names a driver that there is not; take one of {', '.join(_CHOICES)}")
    if parsed.drivername not in _DRIVERS:
        raise ValueError("DATABASE_URL names another database; use mysql+aiomysql://… or sqlite+aiosqlite:///file")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("DATABASE_URL names no database: append /name, or a file for SQLite")
    tls_parameters = {name for name in parsed.query if name.startswith("ssl")}
    if tls_parameters and ("ssl_ca" not in tls_parameters or tls_parameters - _TLS_PARAMETERS):
        raise ValueError(
            "DATABASE_URL asks for TLS with ssl_ca=…, and ssl_cert=…&ssl_key=… beside it, and nothing else"
        )
    # With an unescaped character the URL is split in the wrong place, and the rest of the password would be shown as a
    # host or database name.
    if parsed.get_backend_name() != "sqlite" and (url.count("@") > 1 or not _DATABASE_NAME.fullmatch(parsed.database)):
        raise ValueError(_UNREADABLE_URL)
    if parsed.query.keys() & {"user", "password", "passwd"}:
        raise ValueError(
            "DATABASE_URL takes user and password before the host: mysql+aiomysql://user:password@host/name"
        )
    return parsed.set(drivername=_DRIVERS[parsed.drivername]).render_as_string(hide_password=False)


def refuse_missing_driver(url: str) -> str:
    """Return the URL; raise ValueError if its driver is asyncmy, and that is not installed."""
    # Of all drivers it alone has no wheel for some platforms, and is left out there.
    if make_url(url).get_driver_name() == "asyncmy" and find_spec("asyncmy") is None:
        raise ValueError(
            "DATABASE_URL asks for asyncmy, which is not installed on this platform: write mysql+aiomysql://…"
        )
    return url
