"""Connections to MySQL whose end the driver does not report as such.

uvloop raises a plain RuntimeError ("unable to perform operation on <TCPTransport closed=True …>") when a statement is
sent on a connection that the server, or something between, has reset. That is no error of the driver, so neither
SQLAlchemy nor `faults` would know that the connection is lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pymysql.constants import CR
from pymysql.err import OperationalError

from infra.mysql_drivers import is_transport_closing

# What uvloop says of a closed transport, and what the driver says of one that has no socket any more.
_CLOSED: Final = ("closed=True", "the handler is closed", "Transport does not expose socket instance")


def translate_closed_transport(error: BaseException, driver: object) -> OperationalError | None:
    """Return the driver's error of a lost connection for a RuntimeError of a closed transport; None for all others."""
    if not isinstance(error, RuntimeError):
        return None
    return _build_error() if is_transport_closing(driver) else None


@contextmanager
def name_loss_while_connecting() -> Iterator[None]:
    """Raise the driver's error for the RuntimeError of a connection that is reset before it can be used."""
    try:
        yield
    except RuntimeError as error:
        # There is no connection yet whose transport could be asked, so that only the text tells.
        if not any(text in str(error) for text in _CLOSED):
            raise
        raise _build_error() from error


def _build_error() -> OperationalError:
    return OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server: its transport is closed")
