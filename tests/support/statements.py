"""What the app asks the database."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Statements = Callable[[], AbstractContextManager[list[str]]]
