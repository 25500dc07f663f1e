"""Random statements of one account, cut as people cut them: the ledger has what the files say together.

Of each kind of row it has as many as the file that has most of them, less those that were deleted by hand, however
often and in whatever order the files come.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.choices import Choices
from ledger.transfer.identities import KnownRows, identify
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.rows import KnownRow, read_rows
from tests.support.generated import hunts
from tests.support.imports import draft, load, reading
from tests.support.people import Person, SignUp

# Few days and amounts, so that rows are often equal and often lie near each other; some have the bank's id.
KINDS: Final = [(f"2026-11-0{day}", f"{amount}.00") for day in (1, 2, 3) for amount in (1, 2)]
kinds = st.sampled_from(range(len(KINDS)))
files = st.lists(kinds, min_size=1, max_size=6)
SOURCE: Final = "checking"


def make_row(kind: int) -> Draft:
    day, amount = KINDS[kind]
    return draft(day, amount, payee=f"kind {kind}")


@dataclass
class Books:
    """What the ledger must have: of each kind so many rows are known, and so many of these were deleted by hand."""

    known: Counter[int] = field(default_factory=Counter)
    deleted: Counter[int] = field(default_factory=Counter)

    def take(self, file: Sequence[int]) -> None:
        """Take a file: what it has more of than any before is new."""
        self.known |= Counter(file)

    @property
    def live(self) -> Counter[int]:
        """How many live expenses of each kind there are."""
        return +(self.known - self.deleted)


@given(st.lists(files, max_size=8))
async def test_of_equal_rows_there_are_as_many_as_in_the_fullest_file(statements: list[list[int]]) -> None:
    books, known, serial = Books(), list[KnownRow](), 0
    for statement in statements:
        rows, place = await read_rows(reading(*map(make_row, statement)), Choices()), KnownRows()
        for it in known:
            place.add(it)
        for row in rows:
            identify(row, place, Choices(), is_same=True)
        for row in (it for it in rows if it.is_undecided):
            serial += 1
            currency, amount, day = row.movement
            known.append(KnownRow(serial, SOURCE, row.key, place.number(row), serial, True, day, amount, currency))
        books.take(statement)

    assert Counter(it.key for it in known).total() == books.known.total()
    assert len({(it.key, it.occurrence) for it in known}) == len(known)


# --- the same in a ledger, with all that people do meanwhile ---------------------------------------------------------

steps = st.lists(
    st.tuples(st.just("load"), files)
    | st.tuples(st.just("load again"), st.integers(0, 7))
    | st.tuples(st.just("undo"), st.integers(0, 7))
    | st.tuples(st.just("delete"), kinds)
    | st.tuples(st.just("empty the trash"), st.none())
    | st.tuples(st.just("edit"), kinds),
    max_size=12,
)


class Bookkeeper:
    """Does each step in a ledger, and writes down what the ledger must have then."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.books = Books()
        self.files: list[list[int]] = []
        self.imports: list[tuple[int, Counter[int]]] = []
        """The id of each import, and how many rows of each kind it brought."""

    async def do(self, step: str, what: Any) -> None:  # noqa: ANN401
        """Do one step."""
        if step == "load":
            await self.load(what)
        elif step == "load again" and self.files:
            await self.load(self.files[what % len(self.files)])
        elif step == "undo" and self.imports:
            await self.undo(*self.imports.pop(what % len(self.imports)))
        elif step in {"delete", "edit"}:
            await self.touch(step, what)
        elif step == "empty the trash":
            assert (await self.person.delete("/expenses/trash")).status_code == httpx.codes.NO_CONTENT

    async def load(self, file: list[int]) -> None:
        """Import a file."""
        answer = await load(self.person, reading(*map(make_row, file), source=SOURCE))
        before = Counter(self.books.known)
        self.files.append(file)
        self.books.take(file)
        brought = self.books.known - before
        assert answer.counts.new == brought.total()
        if answer.id is not None:
            self.imports.append((answer.id, brought))

    async def undo(self, import_id: int, brought: Counter[int]) -> None:
        """Undo an import: its live expenses go, and what was deleted by hand stays known."""
        mine = Counter(row["payee"] for row in await self.list_expenses(f"?import_id={import_id}"))
        gone = Counter({kind: mine[f"kind {kind}"] for kind in brought})
        undone = (await self.person.delete(f"/imports/{import_id}")).json()
        assert undone["deleted"] == gone.total()
        self.books.known -= gone

    async def touch(self, step: str, kind: int) -> None:
        """Delete an expense of this kind, or change its amount and its day, if there is one."""
        found = [row for row in await self.list_expenses("") if row["payee"] == f"kind {kind}"]
        if not found:
            return
        at = f"/expenses/{found[0]['id']}"
        if step == "edit":
            assert (await self.person.patch(at, json={"amount": "9.00", "date": "2026-11-09"})).is_success
        else:
            assert (await self.person.delete(at)).is_success
            self.books.deleted[kind] += 1

    async def list_expenses(self, query: str) -> list[dict[str, object]]:
        """Return the expenses."""
        rows: list[dict[str, object]] = (await self.person.get(f"/expenses{query}")).json()["items"]
        return rows

    async def compare(self) -> None:
        """Compare the ledger with the books."""
        stored = Counter(row["payee"] for row in await self.list_expenses("?limit=200"))
        assert stored == Counter({f"kind {kind}": number for kind, number in self.books.live.items()})


@hunts(12)
@given(steps=steps)
async def test_the_ledger_has_what_its_files_say_less_what_was_deleted(
    sign_up: SignUp, steps: list[tuple[str, Any]]
) -> None:
    keeper = Bookkeeper(await sign_up())
    for step, what in steps:
        await keeper.do(step, what)

    await keeper.compare()
