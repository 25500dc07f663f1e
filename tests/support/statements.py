"""The type of the fixture `statements`, which records the SQL that the app runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Statements = Callable[[], AbstractContextManager[list[str]]]
