"""The choices of a request for an import that are about the ledger; those about the file are the readers'."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OnMatch = Literal["report", "link", "skip"]
LineChoice = Literal["skip", "new"] | int
"""What becomes of one row: not imported, a new expense, or the expense with this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What to do with the rows of a file."""

    source: str | None = None
    """The account that the caller names, or `unnamed`; None leaves it to the file."""
    dry_run: bool = False
    rows: int = 100
    """How many rows the answer shows."""
    on_match: OnMatch | None = None
    """None is `report`, but asks about expenses that were imported for the same account."""
    lines: Mapping[int, LineChoice] = field(default_factory=dict)
    """By the number of a row; they beat everything else."""
    deleted: Literal["keep", "import"] = "keep"
    skip_refused: bool = False

    def list_options(self) -> dict[str, Any]:
        """Return the options that were sent, as the answer shows them."""
        sent: dict[str, Any] = {} if self.on_match is None else {"on_match": self.on_match}
        if self.lines:
            sent["lines"] = {str(number): choice for number, choice in self.lines.items()}
        if self.deleted != "keep":
            sent["deleted"] = self.deleted
        return sent | ({"skip_refused": True} if self.skip_refused else {})
