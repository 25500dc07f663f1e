"""Makes the app's commits fail."""

from collections.abc import Awaitable, Callable

import pytest

from infra.connection_pool import PooledConnection

Commit = Callable[[PooledConnection], Awaitable[None]]


class Commits:
    """Replaces the commit of the connections; counts commits, and lets the next ones fail.

    `fates` has a function for each of the next commits; when it is empty, commits are done `really`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.fates: list[Commit] = []
        self.really: Commit = PooledConnection.commit

        async def commit(connection: PooledConnection) -> None:
            self.number += 1
            await (self.fates.pop(0) if self.fates else self.really)(connection)

        monkeypatch.setattr(PooledConnection, "commit", commit)

    def fail_with(self, *errors: BaseException) -> None:
        """Let the next commits raise these errors, each without an effect."""

        def failing(error: BaseException) -> Commit:
            async def fail(_: object) -> None:
                raise error

            return fail

        self.fates = [failing(error) for error in errors]

    def precede(self, act: Callable[[PooledConnection], object]) -> None:
        """Call a function right before the next commit."""

        async def act_and_commit(connection: PooledConnection) -> None:
            act(connection)
            await self.really(connection)

        self.fates = [act_and_commit]
