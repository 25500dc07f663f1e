"""The two drivers of MySQL: what the service has to know about aiomysql and asyncmy that differs.

                         mysql+aiomysql://                          mysql+asyncmy://
    errors               of PyMySQL                                 its own, with the same names and numbers
    converters           of PyMySQL                                 its own, of which some read bytes
    decodes rows in      Python                                     C
    cancelled statement  the connection is closed by whoever        the connection closes itself
                           discards it

asyncmy is imported only where DATABASE_URL names it, and is not installed on every platform (decision 44).
"""

import importlib
from typing import Any, Final

import pymysql.err

_ASYNCMY_ERRORS: Final = "asyncmy.errors"
_CONVERTERS: Final = {"aiomysql": "pymysql.converters", "asyncmy": "asyncmy.converters"}


def load_converters(driver: str) -> dict[Any, Any]:
    """Return the functions with which a driver writes and reads values."""
    converters: dict[Any, Any] = importlib.import_module(_CONVERTERS[driver]).conversions
    return converters


def is_driver_error(error: BaseException, name: str = "MySQLError") -> bool:
    """Whether an error is a driver's; with a `name` such as `IntegrityError`, whether it is that one."""
    if type(error).__module__ == _ASYNCMY_ERRORS:
        return any(kind.__name__ == name for kind in type(error).__mro__)
    return isinstance(error, getattr(pymysql.err, name))


def is_transport_closing(driver: object) -> bool:
    """Whether the transport of a driver's connection is closed, or about to be."""
    writer = getattr(driver, "_writer", None)
    transport = writer.transport if writer is not None else getattr(driver, "_transport", None)
    return transport is not None and bool(transport.is_closing())
