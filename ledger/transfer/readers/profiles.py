"""Profiles, from `profiles.toml`: the exports of known applications and banks, which their headers prove."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.transfer.readers.words import make_word


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the export of one application or bank is read."""

    name: str
    title: str
    header: Sequence[str]
    """Headers that all must be there."""
    is_exact: bool = False
    """Whether the file has no other headers."""
    options: Mapping[str, Any] = field(default_factory=dict)
    transfer_payees: Sequence[str] = ()
    """What the payee of a transfer between own accounts begins with."""

    @property
    def words(self) -> frozenset[str]:
        """The headers in the form in which they are compared."""
        return frozenset(map(make_word, self.header))

    def fits(self, headers: Sequence[str]) -> bool:
        """Whether a file with these headers is one of this profile."""
        found = {make_word(header) for header in headers if header}
        return self.words == found if self.is_exact else self.words <= found

    def list_options(self, headers: Sequence[str]) -> dict[str, Any]:
        """Return the options, without the columns that this file does not have."""
        found = {make_word(header) for header in headers if header}
        named = {
            role: [it for it in value if make_word(it) in found] if isinstance(value, list) else value
            for role, value in self.options.get("columns", {}).items()
            # An empty text takes away the column that would be found.
            if not isinstance(value, str) or not value or make_word(value) in found
        }
        return {**self.options, "columns": named}


PROFILES: Final[Mapping[str, Profile]] = {
    name: Profile(name=name, **entry)
    for name, entry in tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8")).items()
}
"""The profiles by name."""

OWN: Final = PROFILES["expense-tracker"]
"""This service's own export, in which texts that a spreadsheet would run are guarded (values/csv_cells.py)."""


def recognize(headers: Sequence[str]) -> Profile | None:
    """Return the profile that a file's headers prove, the one with most of them; None if there is none."""
    fitting = [profile for profile in PROFILES.values() if profile.fits(headers)]
    return max(fitting, key=lambda profile: len(profile.words), default=None)
