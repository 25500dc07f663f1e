"""The options of reading a file: those that were sent beat the profile's, and both beat what the file suggests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from ledger.transfer.readers.dates import DateOrder
from ledger.transfer.readers.numbers import DecimalSign


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingChoices:
    """The options that readers know, as `POST /imports` has validated them; None is not chosen."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_line: int | None = None
    decimal: DecimalSign | None = None
    date_order: DateOrder | None = None
    year: int | None = None
    currency: str | None = None
    category: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The header or number of the column of each role; None unsets it; a list for `description`."""
    sign: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    incoming: str | None = None
    transfers: str | None = None
    fees: str | None = None
    splits: str | None = None
    person: str | None = None
    accounts: Sequence[str] | None = None

    @classmethod
    def build(cls, *layers: Mapping[str, Any]) -> Self:
        """Merge layers of options, the strongest last; columns and meanings are merged one by one."""
        merged = cls.merge(*layers)
        return cls(**{it.name: merged[it.name] for it in fields(cls) if it.name in merged})

    @staticmethod
    def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
        """Merge layers of options as they are sent."""
        merged: dict[str, Any] = {}
        for layer in layers:
            for name, value in layer.items():
                merged[name] = {**merged.get(name, {}), **value} if isinstance(value, Mapping) else value
        return merged
