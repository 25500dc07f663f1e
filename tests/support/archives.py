"""Archives of accounts: download, read, change and import them.

archive = await download(person)
rows = unpack(archive)                       # {"expenses": [{"amount": "12.50", …}], …, "manifest": [{…}]}
broken = repack(rows | {"tags": []})         # an archive with other rows, whose manifest agrees with them
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import httpx

from tests.support.budgets import budget
from tests.support.categories import create
from tests.support.expenses import change, discard, spend
from tests.support.imports import coffee, draft, load, reading
from tests.support.people import Person

Rows = dict[str, list[Any]]

MOVING: Final = {"id", "import_id", "expense_id", "created_at", "updated_at", "deleted_at"}
"""Ids and instants, which another account has of its own."""
KINDS: Final = ("categories", "tags", "budgets", "profiles", "imports", "expenses", "trash", "imported_rows")


async def download(person: httpx.AsyncClient) -> bytes:
    """Return the archive of a person's account."""
    answer = await person.get("/users/me/archive")
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.content


async def send(person: httpx.AsyncClient, archive: bytes, **fields: str) -> httpx.Response:
    """Import an archive."""
    return await person.post("/imports", files={"file": ("archive.zip", archive)}, data=fields)


async def take(person: httpx.AsyncClient, archive: bytes, **fields: str) -> dict[str, Any]:
    """Import an archive, and return the answer of the import, which succeeds."""
    answer = await send(person, archive, **fields)
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


def unpack(archive: bytes) -> Rows:
    """Return the rows of each kind, and the manifest as the only row of its own."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name.partition(".")[0]: _parse(opened.read(name)) for name in opened.namelist()}


def _parse(lines: bytes) -> list[Any]:
    return [json.loads(line) for line in lines.decode().removesuffix("\n").split("\n") if line]


def tell(archive: bytes) -> Rows:
    """Return the rows without ids and instants; of ids that may be null it is told whether they are."""
    return {kind: [_tell(row) for row in rows] for kind, rows in unpack(archive).items()}


def _tell(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value is not None if name in MOVING else value for name, value in row.items()}


def repack(rows: Rows, **said: Any) -> bytes:
    """Return an archive of these rows, whose manifest says so, or what is `said`."""
    sums: dict[str, tuple[Decimal, int]] = {}
    for row in rows["expenses"]:
        total, number = sums.get(row["currency"], (Decimal(0), 0))
        sums[row["currency"]] = total + Decimal(row["amount"]), number + 1
    totals = [{"currency": it, "total": str(total), "count": number} for it, (total, number) in sums.items()]
    counts = {kind: len(rows[kind]) for kind in KINDS}
    members = {f"{kind}.ndjson": write_lines(rows[kind]) for kind in KINDS}
    manifest = json.dumps({"version": 1, "counts": counts, "totals": totals} | said).encode()
    return pack({"manifest.json": manifest} | members)


def write_lines(rows: Sequence[object]) -> bytes:
    """Return rows as lines of JSON."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return a zip with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


async def fill(person: Person) -> None:
    """Give a person one of everything that an archive holds."""
    await create(person, "Bread", parent="Food", color="#112233")
    old = await create(person, "Old")
    await person.patch(f"/categories/{old['id']}", json={"archived": True})
    await _record(person)
    await _import_a_file(person)
    await budget(person, category="Food", amount="100.00")
    await budget(person, category=None, amount="1000", currency="JPY", period="year")
    await person.put("/imports/profiles/bank", json={"decimal": ",", "columns": {"date": "Datum", "fee": None}})


async def _record(person: Person) -> None:
    texts = {"category": "Bread", "payee": "Café 茶", "description": "=1+1\n🍵", "tags": ["b", "A", "one, two"]}
    for _ in range(2):
        await spend(person, amount="3.50", date="2026-03-01", **texts)
    await spend(person, amount="-350", currency="JPY", date="2026-02-01", external_id="refund")
    await spend(person, amount="-3.505", currency="KWD", date="1900-01-01")
    await spend(person, amount="999999999999.99", date="2199-12-31", payee="'quoted")
    unused = await spend(person, amount="1", tags=["unused"])
    await change(person, unused, tags=[])
    await discard(person, await spend(person, amount="7", external_id="thrown away", category="Bread", tags=["A"]))


async def _import_a_file(person: Person) -> None:
    """Import five rows; one is deleted for good, one is in the trash, and one was changed."""
    await load(person, reading(coffee(), coffee(), coffee("03"), coffee("04"), draft(bank_id="17")))
    imported = (await person.get("/expenses?payee=Café&sort=date")).json()["items"]
    await discard(person, imported[0])
    trashed = (await person.get("/expenses/trash")).json()["items"]
    await person.delete("/expenses/trash")
    assert len(trashed) == 2
    await discard(person, imported[2], await spend(person, amount="7", external_id="thrown away", tags=["A"]))
    await change(person, imported[3], payee="Another café")
