"""The check finds damage of tags, tag sets and payees, which is done here by SQL."""

import pytest
from sqlalchemy import Connection, text

from admin.check import check_ledgers
from tests.support.expenses import discard, spend
from tests.support.people import Person
from tests.support.tags import find_damage

# SQLite checks no references on a connection that does not ask for it.
WITHOUT_REFERENCES = {"sqlite": "SELECT 1", "mysql": "SET FOREIGN_KEY_CHECKS = 0"}
NOTE_AS_DELETED = """
    INSERT INTO tombstones (owner_id, kind, row_id, revision)
    SELECT owner_id, 'tag', id, 1 FROM tags WHERE owner_id = :owner
"""


async def test_nothing_is_wrong_with_a_ledger_that_has_tags_and_payees(person: Person) -> None:
    await spend(person, payee="Märkte", tags=["shared", "🍎"])
    await discard(person, await spend(person, payee="Straße", description="Äpfel", tags=["Müll"]))

    assert find_damage(person) == []


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("UPDATE tag_sets SET names = 'absent' WHERE owner_id = :owner", "wrong_tags"),
        ("UPDATE payees SET name_key = 'other' WHERE owner_id = :owner", "text_bytes"),
        ("UPDATE expenses SET tag_set_id = 0 WHERE owner_id = :owner", "orphans"),
        ("UPDATE tags SET revision = 2 WHERE owner_id = :owner", "revision_behind"),
        (NOTE_AS_DELETED, "live_and_deleted"),
    ],
)
async def test_each_damage_is_found(outside: Connection, person: Person, damage: str, code: str) -> None:
    await spend(person, payee="Market", tags=["shared"])
    outside.exec_driver_sql(WITHOUT_REFERENCES[outside.dialect.name])
    outside.execute(text(damage), {"owner": person.user["id"]})
    problems = check_ledgers(outside, None, lambda _done, _total: None).problems
    outside.rollback()

    assert [it.code for it in problems if it.owner_id == person.user["id"]] == [code]
