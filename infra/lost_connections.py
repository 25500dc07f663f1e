"""Connections to MySQL whose end the driver does not report as such.

uvloop raises a plain RuntimeError ("unable to perform operation on <TCPTransport closed=True …>") when a statement is
sent on a connection that the server, or something between, has reset. That is no error of the driver, so neither
SQLAlchemy nor `faults` would know that the connection is lost.
"""

from pymysql.constants import CR
from pymysql.err import OperationalError


def translate_closed_transport(error: BaseException, driver: object) -> OperationalError | None:
    """Return the driver's error of a lost connection for a RuntimeError of a closed transport; None for all others."""
    if not isinstance(error, RuntimeError):
        return None
    writer = getattr(driver, "_writer", None)
    if writer is None or not writer.transport.is_closing():
        return None
    return OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server: its transport is closed")
