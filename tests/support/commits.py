"""Makes the app's commits fail."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

Commit = Callable[[Any], None]


class Commits:
    """Replaces the commit of an app's database; counts commits, and lets the next ones fail.

    `fates` has a function for each of the next commits; when it is empty, commits are done `really`.
    """

    def __init__(self, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.fates: list[Commit] = []
        dialect = app.state.services.database.engines[0].sync_engine.dialect
        self.really: Commit = dialect.do_commit
        monkeypatch.setattr(dialect, "do_commit", self._commit)

    def _commit(self, connection: Any) -> None:  # noqa: ANN401
        self.number += 1
        (self.fates.pop(0) if self.fates else self.really)(connection)

    def fail_with(self, *errors: BaseException) -> None:
        """Let the next commits raise these errors, each without an effect."""

        def failing(error: BaseException) -> Commit:
            def fail(_: object) -> None:
                raise error

            return fail

        self.fates = [failing(error) for error in errors]
