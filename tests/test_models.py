"""The tables: keys of owned rows begin with the owner, and every constraint has a name."""

import pytest

from models import User

OWNED = [table for table in User.metadata.sorted_tables if "owner_id" in table.c]


@pytest.mark.parametrize("table", OWNED, ids=str)
def test_every_index_of_owned_rows_begins_with_the_owner(table: object) -> None:
    indexes = [[column.name for column in index.columns] for index in table.indexes]  # type: ignore[attr-defined]
    assert [names for names in indexes if names[0] != "owner_id"] == []


@pytest.mark.parametrize("table", User.metadata.sorted_tables, ids=str)
def test_every_constraint_has_a_name(table: object) -> None:
    assert [it for it in table.constraints if it.name is None] == []  # type: ignore[attr-defined]
