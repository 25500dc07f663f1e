"""Random statements of one account, cut as people cut them: the ledger has what the files say together.

Of each kind of row it has as many as the file that has most of them, less those that were deleted by hand, however
often and in whatever order the files come, and whatever answers are corrected between them.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.choices import Choices
from ledger.transfer.identities import KnownRows, identify
from ledger.transfer.readers.drafts import Draft, Reading
from ledger.transfer.readers.formats import detect_format
from ledger.transfer.readers.reading import Request, read_file
from ledger.transfer.rows import FileRow, KnownRow, read_rows
from tests.support.generated import hunts
from tests.support.imports import draft, load, reading
from tests.support.people import Person, SignUp

# Few days and amounts, so that rows are often equal and often lie near each other.
KINDS: Final = [(f"2026-11-0{day}", f"{amount}.00") for day in (1, 2, 3) for amount in (1, 2)]
kinds = st.sampled_from(range(len(KINDS)))
files = st.lists(kinds, min_size=1, max_size=6)
SOURCE: Final = "checking"


def make_row(kind: int, **fields: Any) -> Draft:
    day, amount = KINDS[kind]
    return draft(day, amount, **{"payee": f"kind {kind}", **fields})


def read(text: str, **options: Any) -> Reading:
    data = text.encode()
    return read_file(data, detect_format(data), Request(currency="EUR", options=options))


@dataclass
class Books:
    """What the ledger must have: of each kind so many rows are known, and so many of these were deleted by hand."""

    known: Counter[Any] = field(default_factory=Counter)
    deleted: Counter[Any] = field(default_factory=Counter)

    def take(self, file: Sequence[Any]) -> None:
        """Take a file: what it has more of than any before is new."""
        self.known |= Counter(file)

    def revive(self, file: Sequence[Any]) -> Counter[Any]:
        """Take a file with `deleted: import`; return what comes again: the rows that no live expense is left for."""
        again = (Counter(file) - self.live) & self.deleted
        self.deleted -= again
        self.take(file)
        return again

    @property
    def live(self) -> Counter[Any]:
        """How many live expenses of each kind there are."""
        return +(self.known - self.deleted)


# --- without a database -----------------------------------------------------------------------------------------------


class Memory:
    """What a source knows of the files that came, of which nothing is deleted."""

    def __init__(self) -> None:
        self.rows: list[KnownRow] = []
        self._serials = count(1)

    async def take(self, file: Reading) -> list[FileRow]:
        """Take a file, of which every row that is not known becomes known; return its rows."""
        rows, known = await read_rows(file, Choices(source=SOURCE)), KnownRows()
        for it in self.rows:
            known.add(it)
        for is_same in (True, False):
            for row in rows:
                identify(row, known, Choices(), is_same=is_same)
        for row in (it for it in rows if it.is_undecided):
            currency, amount, day = row.movement
            serial = next(self._serials)
            self.rows.append(KnownRow(serial, SOURCE, row.key, known.number(row), serial, True, day, amount, currency))
        assert len({(it.key, it.occurrence) for it in self.rows}) == len(self.rows)
        return rows


@given(st.lists(files, max_size=8))
async def test_of_equal_rows_there_are_as_many_as_in_the_fullest_file(statements: list[list[int]]) -> None:
    books, memory = Books(), Memory()
    for statement in statements:
        await memory.take(reading(*map(make_row, statement)))
        books.take(statement)

    assert len(memory.rows) == books.known.total()


# In either order of day and month these are days; on the two of one kind a cell has the other one's numbers.
OPEN_DAYS: Final = ("02/12/2026", "12/02/2026", "03/03/2026")
tables = st.tuples(st.sampled_from(["DMY", "MDY"]), st.lists(st.sampled_from(OPEN_DAYS), min_size=1, max_size=6))


@given(st.lists(tables, max_size=8))
async def test_an_order_of_dates_that_is_corrected_makes_no_other_row(statements: list[tuple[str, list[str]]]) -> None:
    books, memory = Books(), Memory()
    for order, statement in statements:
        lines = "".join(f"{day};Cafe;-3.50\n" for day in statement)
        await memory.take(read("Date;Payee;Amount\n" + lines, date_order=order))
        books.take(statement)

    assert len(memory.rows) == books.known.total()


# Both have the same part beside another one.
SPLITS: Final = ("T-8.00\nSMilk\n$-3.00\nSSoap\n$-5.00", "T-4.00\nSMilk\n$-3.00\nSGum\n$-1.00")
records = st.tuples(st.sampled_from(["whole", "parts"]), st.lists(st.sampled_from(SPLITS), min_size=1, max_size=4))


@given(st.lists(records, max_size=8))
async def test_entries_come_once_whole_or_in_parts(statements: list[tuple[str, list[str]]]) -> None:
    books, memory, wholes, parts = Books(), Memory(), Counter[str](), Counter[str]()
    for how, statement in statements:
        text = "!Type:Bank\n" + "".join(f"D2026-11-02\nPMarket\n{it}\n^\n" for it in statement)
        rows = [row for row in await memory.take(read(text, splits=how)) if row.reason != "split_parent"]
        each = statement if how == "whole" else [it for it in statement for _ in range(2)]
        new = Counter(it for it, row in zip(each, rows, strict=True) if row.is_undecided)
        (wholes if how == "whole" else parts).update(new)
        books.take(statement)

    assert wholes + Counter({it: number // 2 for it, number in parts.items()}) == books.known


# --- the same in a ledger, with all that people do meanwhile ----------------------------------------------------------

formats = st.sampled_from(["csv", "ofx"])
steps = st.lists(
    st.tuples(st.just("load"), st.tuples(formats, files))
    | st.tuples(st.just("load deleted"), st.tuples(formats, files))
    | st.tuples(st.just("load again"), st.integers(0, 7))
    | st.tuples(st.just("undo"), st.integers(0, 7))
    | st.tuples(st.just("delete"), kinds)
    | st.tuples(st.just("restore"), kinds)
    | st.tuples(st.just("empty the trash"), st.none())
    | st.tuples(st.just("edit"), kinds),
    max_size=12,
)


class Bookkeeper:
    """Does each step in a ledger, and writes down what the ledger must have then.

    With `report` every row of a second format is another expense, so that each format is counted by itself.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.books = Books()
        self.files: list[tuple[str, list[int]]] = []
        self.imports: list[int] = []
        """The imports that can be undone: of one that brought deleted rows again, both kinds of rows look alike."""

    async def do(self, step: str, what: Any) -> None:  # noqa: ANN401
        """Do one step."""
        if step == "load again" and self.files:
            await self.load(self.files[what % len(self.files)])
        elif step == "undo" and self.imports:
            await self.undo(self.imports.pop(what % len(self.imports)))
        elif step == "empty the trash":
            assert (await self.person.delete("/expenses/trash")).status_code == httpx.codes.NO_CONTENT
        elif step in {"load", "load deleted", "delete", "restore", "edit"}:
            does: dict[str, Callable[[Any], Awaitable[None]]] = {
                "load": self.load,
                "load deleted": self.load_deleted,
                "delete": self.delete,
                "restore": self.restore,
                "edit": self.edit,
            }
            await does[step](what)

    async def load(self, file: tuple[str, list[int]]) -> None:
        """Import a file."""
        before = Counter(self.books.known)
        self.books.take(_name_rows(file))
        import_id = await self._load(file, new=(self.books.known - before).total())
        if import_id is not None:
            self.imports.append(import_id)

    async def load_deleted(self, file: tuple[str, list[int]]) -> None:
        """Import a file, and what was deleted too."""
        before = Counter(self.books.known)
        again = self.books.revive(_name_rows(file))
        import_id = await self._load(file, deleted="import", new=(self.books.known - before + again).total())
        if import_id is not None and not again:
            self.imports.append(import_id)

    async def _load(self, file: tuple[str, list[int]], new: int, **choices: Any) -> int | None:
        kind, rows = file
        self.files.append(file)
        named = [make_row(it, payee=name) for it, name in zip(rows, _name_rows(file), strict=True)]
        on_match = "report" if len({kind for kind, _ in self.files}) > 1 else None
        answer = await load(self.person, reading(*named, source=SOURCE, kind=kind), on_match=on_match, **choices)
        assert answer.counts.new == new
        return answer.id

    async def undo(self, import_id: int) -> None:
        """Undo an import: its live expenses go, and what was deleted by hand stays known."""
        gone = Counter(row["payee"] for row in await self.list_expenses(f"?import_id={import_id}"))
        undone = (await self.person.delete(f"/imports/{import_id}")).json()
        assert undone["deleted"] == gone.total()
        self.books.known -= gone

    async def delete(self, kind: int) -> None:
        """Delete an expense of this kind, if there is one."""
        for row in await self.find(kind, ""):
            assert (await self.person.delete(f"/expenses/{row['id']}")).is_success
            self.books.deleted[row["payee"]] += 1

    async def restore(self, kind: int) -> None:
        """Restore an expense of this kind from the trash, if it has one."""
        for row in await self.find(kind, "/trash"):
            assert (await self.person.post(f"/expenses/{row['id']}/restore")).is_success
            self.books.deleted[row["payee"]] -= 1

    async def edit(self, kind: int) -> None:
        """Change the amount and the day of an expense of this kind, if there is one."""
        for row in await self.find(kind, ""):
            changed = {"amount": "9.00", "date": "2026-11-09"}
            assert (await self.person.patch(f"/expenses/{row['id']}", json=changed)).is_success

    async def find(self, kind: int, path: str) -> list[dict[str, Any]]:
        """Return the first expense of this kind, live or in the trash, of whichever format."""
        return [row for row in await self.list_expenses(path) if str(row["payee"]).endswith(f" {kind}")][:1]

    async def list_expenses(self, query: str) -> list[dict[str, Any]]:
        """Return expenses."""
        rows: list[dict[str, Any]] = (await self.person.get(f"/expenses{query}")).json()["items"]
        return rows

    async def compare(self) -> None:
        """Compare the ledger with the books."""
        assert Counter(row["payee"] for row in await self.list_expenses("?limit=200")) == self.books.live


def _name_rows(file: tuple[str, list[int]]) -> list[str]:
    """Return the payees of a file's rows, which tell them apart afterwards."""
    return [f"{file[0]} {kind}" for kind in file[1]]


@hunts(12)
@given(steps=steps)
async def test_the_ledger_has_what_its_files_say_less_what_was_deleted(
    sign_up: SignUp, steps: list[tuple[str, Any]]
) -> None:
    keeper = Bookkeeper(await sign_up())
    for step, what in steps:
        await keeper.do(step, what)

    await keeper.compare()


# --- two formats of one account, whose rows are linked ----------------------------------------------------------------

linked_steps = st.lists(
    st.tuples(st.just("csv") | st.just("ofx"), st.sets(kinds, min_size=1))
    | st.tuples(st.just("delete") | st.just("restore") | st.just("edit"), kinds)
    | st.tuples(st.just("empty the trash"), st.none()),
    max_size=10,
)


@hunts(8)
@given(steps=linked_steps)
async def test_rows_of_two_formats_that_are_linked_are_there_once(
    sign_up: SignUp, steps: list[tuple[str, Any]]
) -> None:
    keeper = Bookkeeper(await sign_up())
    for step, what in steps:
        if step in {"csv", "ofx"}:
            # Each has an amount of its own, so that it has one match at most.
            rows = [
                draft(
                    "2026-11-02", f"{kind + 1}.00", payee=f"kind {kind}", bank_id=str(kind) if step == "ofx" else None
                )
                for kind in sorted(what)
            ]
            await load(keeper.person, reading(*rows, source=SOURCE, kind=step), on_match="link")
            keeper.books.take([f"kind {kind}" for kind in what])
        else:
            await keeper.do(step, what)

    await keeper.compare()
