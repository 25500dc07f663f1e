"""A client's copy of a ledger, kept by the change feed: call after call, it becomes the server's state."""

from typing import Any, Final

from faults.client import Account
from faults.journal import Outcome

PAGE: Final = 200
KINDS: Final = {"expenses": "expense", "categories": "category", "tags": "tag", "budgets": "budget"}

Row = dict[str, Any]


class Copy:
    """The rows by kind and id, and the revision up to which they are the server's."""

    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[tuple[str, int], Row] = {}

    async def catch_up(self, account: Account) -> bool:
        """Apply what has changed; return False, with the revision as it was, if a page could not be read."""
        cursor: str | None = None
        while True:
            query = {"cursor": cursor} if cursor else {}
            answer = await account.read("/changes", since=self.revision, limit=PAGE, **query)
            if answer.outcome is not Outcome.ACKNOWLEDGED:
                if answer.code == "resync_required":
                    account.journal.complain(f"410 resync_required for since={self.revision}, which the server has had")
                return False
            self._apply(answer.body)
            cursor = answer.body["next_cursor"]
            if cursor is None:
                self.revision = answer.body["revision"]
                return True

    def expenses(self) -> dict[int, Row]:
        """Return the expenses by id."""
        return {number: row for (kind, number), row in self.rows.items() if kind == "expense"}

    def _apply(self, page: Any) -> None:  # noqa: ANN401
        # A later change of the same page wins: rows are in the order of their revisions, and so is `deleted`.
        for key, kind in KINDS.items():
            for row in page[key]:
                self.rows[kind, row["id"]] = row
        for deleted in page["deleted"]:
            held = self.rows.get((deleted["kind"], deleted["id"]))
            if held and held["revision"] <= deleted["revision"]:
                del self.rows[deleted["kind"], deleted["id"]]
