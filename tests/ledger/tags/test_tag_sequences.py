"""Whatever is done to tags and expenses, in whatever order: every tag is where a plain model of sets has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tests.support.expenses import creating, send_batch
from tests.support.generated import hunts
from tests.support.people import Person, SignUp
from tests.support.tags import find_damage, listed

# The names of six tags as people sort them, in two spellings each.
SPELLINGS = [("a", "A"), ("b", " B "), ("cafe", "CAFE"), ("café", "Cafe\u0301"), ("work", "Work"), ("🍎", "🍎")]
KEYS = [plain for plain, _ in SPELLINGS]
CODES = ["EUR", "USD"]

Tags = frozenset[str]
"""Tags by the first of their two spellings."""
Step = tuple[str, Any]


def spell(key: str, *, other: bool) -> str:
    """Return one of the two spellings of a tag as it is sent."""
    return dict(SPELLINGS)[key] if other else key


def show(key: str, *, other: bool) -> str:
    """Return one of the two spellings of a tag as it is answered."""
    return {"Cafe\u0301": "Café"}.get(name := spell(key, other=other).strip(), name)


@dataclass
class Kept:
    """An expense of the model."""

    id: int
    number: int
    tags: Tags
    revision: int
    is_trashed: bool = False

    @property
    def currency(self) -> str:
        """The currency, by which bulk changes find half of the expenses."""
        return CODES[self.number % 2]

    @property
    def date(self) -> str:
        """The day: the more recent, the later the expense was made."""
        return f"2026-11-{self.number + 1:02}"


@dataclass
class Tag:
    """A tag of the model: how it is spelt, and its revision."""

    name: str
    revision: int


@dataclass
class Model:
    """A ledger as sets of tags, and what each step does to it."""

    person: Person
    revision: int = 0
    expenses: list[Kept] = field(default_factory=list)
    tags: dict[str, Tag] = field(default_factory=dict)

    # Each step sends a request and then does the same to the model.

    async def create(self, tags: Tags, other: bool) -> None:
        """Record an expense."""
        made = Kept(0, len(self.expenses), tags, self.revision + 1)
        body = {"amount": "1.00", "currency": made.currency, "date": made.date, "tags": self._spell(tags, other)}
        made.id = (await self._send("POST", "/expenses", 201, body))["id"]
        self._use(tags, other)
        self.revision += 1
        self.expenses.append(made)

    async def change(self, place: int, tags: Tags, other: bool) -> None:
        """Give an expense these tags."""
        for it in self._pick(place, is_trashed=False):
            await self._send("PATCH", f"/expenses/{it.id}", 200, {"tags": self._spell(tags, other)})
            self._become({it.id: tags}, tags, other)

    async def batch(self, changes: list[tuple[int, Tags]], other: bool) -> None:
        """Give several expenses other tags at once, and record one more."""
        wanted = {it.id: tags for place, tags in changes for it in self._pick(place, is_trashed=False)}
        made = Kept(0, len(self.expenses), frozenset().union(*wanted.values()), self.revision + 1)
        updates = [
            {"op": "update", "id": row_id, "data": {"tags": self._spell(tags, other)}}
            for row_id, tags in wanted.items()
        ]
        create = creating(currency=made.currency, date=made.date, tags=self._spell(made.tags, other))
        answer = await send_batch(self.person, *updates, create)
        assert answer.status_code == httpx.codes.OK, answer.text
        made.id = answer.json()["results"][-1]["id"]
        self._use(made.tags, other)
        self.revision += 1
        self._set({row_id: tags for row_id, tags in wanted.items() if self._find(row_id).tags != tags})
        self.expenses.append(made)

    async def bulk(self, query: Mapping[str, Any], added: Tags, removed: Tags, other: bool) -> None:
        """Add tags to all that matches, and remove others."""
        matching = [it for it in self.expenses if not it.is_trashed and self._matches(it, query)]
        body = {"add_tags": self._spell(added, other), "remove_tags": self._spell(removed - added, other)}
        path = httpx.URL("/expenses", params=query)
        answer = await self._send("PATCH", str(path), 200, body)
        assert answer["matched"] == len(matching)
        self._become({it.id: (it.tags | added) - (removed - added) for it in matching}, added, other)

    async def rename(self, key: str, new: str, other: bool) -> None:
        """Rename a tag, perhaps onto the name of another one, or only its spelling."""
        if key not in self.tags:
            return
        taken, name = new != key and new in self.tags, show(new, other=other)
        path = await self._locate(key)
        await self._send("PATCH", path, 409 if taken else 200, {"name": spell(new, other=other)})
        if taken or self.tags[key].name == name:
            return
        self.revision += 1
        del self.tags[key]
        self.tags[new] = Tag(name, self.revision)
        self._replace(key, frozenset({new}))

    async def merge(self, key: str, target: str, other: bool) -> None:
        """Merge a tag into another one, which may not exist."""
        if key in self.tags:
            possible = target in self.tags and target != key
            path = httpx.URL(await self._locate(key), params={"move_to": spell(target, other=other)})
            await self._send("DELETE", str(path), 204 if possible else 422)
            self._drop(key, frozenset({target}), really=possible)

    async def delete(self, key: str) -> None:
        """Delete a tag."""
        if key in self.tags:
            await self._send("DELETE", await self._locate(key), 204)
            self._drop(key, frozenset(), really=True)

    async def discard(self, place: int) -> None:
        """Delete an expense."""
        for it in self._pick(place, is_trashed=False):
            await self._send("DELETE", f"/expenses/{it.id}", 204)
            self.revision += 1
            it.revision, it.is_trashed = self.revision, True

    async def restore(self, place: int) -> None:
        """Restore a deleted expense."""
        for it in self._pick(place, is_trashed=True):
            await self._send("POST", f"/expenses/{it.id}/restore", 200)
            self.revision += 1
            it.revision, it.is_trashed = self.revision, False

    # What is to be read then

    def list_expenses(self, *, is_trashed: bool) -> dict[int, tuple[list[str], int]]:
        """Return the tags and the revision of each expense by id, live or in the trash."""
        return {
            it.id: ([self.tags[key].name for key in KEYS if key in it.tags], it.revision)
            for it in self.expenses
            if it.is_trashed == is_trashed
        }

    def list_tags(self) -> list[tuple[str, int, int, str | None]]:
        """Return name, revision, number of expenses and last day of each tag, by name."""
        days = {key: [it.date for it in self.expenses if key in it.tags and not it.is_trashed] for key in KEYS}
        return [
            (self.tags[key].name, self.tags[key].revision, len(days[key]), max(days[key], default=None))
            for key in KEYS
            if key in self.tags
        ]

    def list_ids(self, key: str) -> set[int]:
        """Return the ids of the expenses that a filter by this tag finds."""
        return {it.id for it in self.expenses if key in it.tags and not it.is_trashed}

    # How it gets there

    async def _send(self, method: str, path: str, status: int, body: object = None) -> Any:  # noqa: ANN401
        answer = await self.person.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def _locate(self, key: str) -> str:
        [tag] = [tag for tag in await listed(self.person) if tag["name"] == self.tags[key].name]
        return f"/tags/{tag['id']}"

    def _find(self, row_id: int) -> Kept:
        return next(it for it in self.expenses if it.id == row_id)

    def _pick(self, place: int, *, is_trashed: bool) -> Iterator[Kept]:
        """Yield one of the expenses, if there are any."""
        those = [it for it in self.expenses if it.is_trashed == is_trashed]
        yield from those[place % len(those) :][:1] if those else ()

    @staticmethod
    def _matches(it: Kept, query: Mapping[str, Any]) -> bool:
        asked = {name.strip().casefold() for name in query.get("tag", ())}
        return (
            asked <= it.tags
            and it.currency == query.get("currency", it.currency)
            and not (it.tags and "untagged" in query)
        )

    @staticmethod
    def _spell(tags: Tags, other: bool) -> list[str]:
        return [spell(key, other=other) for key in sorted(tags, reverse=other)]

    def _use(self, tags: Tags, other: bool) -> None:
        """Make the tags that do not exist, with the next revision."""
        for key in tags - self.tags.keys():
            self.tags[key] = Tag(show(key, other=other), self.revision + 1)

    def _become(self, wanted: Mapping[int, Tags], used: Tags, other: bool) -> None:
        """Give expenses these tags; only if one of them has others, a revision is taken and new tags are made."""
        changed = {row_id: tags for row_id, tags in wanted.items() if self._find(row_id).tags != tags}
        if changed:
            self._use(used, other)
            self.revision += 1
            self._set(changed)

    def _set(self, changed: Mapping[int, Tags]) -> None:
        for row_id, tags in changed.items():
            it = self._find(row_id)
            it.tags, it.revision = tags, self.revision

    def _drop(self, key: str, heirs: Tags, *, really: bool) -> None:
        if really:
            self.revision += 1
            del self.tags[key]
            self._replace(key, heirs)

    def _replace(self, key: str, heirs: Tags) -> None:
        """Replace a tag; an expense in the trash keeps the revision of its deletion."""
        for it in (it for it in self.expenses if key in it.tags):
            it.tags = (it.tags - {key}) | heirs
            it.revision = it.revision if it.is_trashed else self.revision


async def play(person: Person, steps: list[Step]) -> Model:
    """Take the steps, and compare the ledger with the model after each."""
    model = Model(person)
    for name, arguments in steps:
        await getattr(model, name)(**arguments)
        await compare(model)
    return model


async def compare(model: Model) -> None:
    """Compare everything that is read of tags with the model."""
    person = model.person
    live = (await person.get("/expenses?limit=200")).json()["items"]
    lie = (await person.get("/expenses/trash?limit=200")).json()["items"]
    used = await listed(person, with_usage="true")
    assert {it["id"]: (it["tags"], it["revision"]) for it in live} == model.list_expenses(is_trashed=False)
    assert {it["id"]: (it["tags"], it["revision"]) for it in lie} == model.list_expenses(is_trashed=True)
    assert [(it["name"], it["revision"], it["expense_count"], it["last_used"]) for it in used] == model.list_tags()
    assert (await person.get("/changes")).json()["revision"] == model.revision


async def find_ids(person: Person, key: str) -> set[int]:
    """Return the ids of the expenses that a filter by a tag finds."""
    return {it["id"] for it in (await person.get("/expenses", params={"limit": 200, "tag": key})).json()["items"]}


async def count_by_tag(person: Person) -> dict[str | None, int]:
    """Return how many expenses each tag has in a report, whatever their currency."""
    groups = (await person.get("/reports/spending?period=2026&group_by=tag")).json()["groups"]
    return {tag: sum(group["count"] for group in groups if group["tag"] == tag) for tag in {it["tag"] for it in groups}}


some_tags = st.frozensets(st.sampled_from(KEYS), max_size=4)
one_tag = st.sampled_from(KEYS)
places = st.integers(0, 5)
queries = st.fixed_dictionaries({"currency": st.sampled_from(CODES)}) | st.one_of(
    st.fixed_dictionaries({"tag": st.lists(one_tag, min_size=1, max_size=2)}),
    st.just({"untagged": "true"}),
    st.just({"from": "2026-11-01"}),
)


def step(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """Return steps of this name."""
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


creation = step("create", tags=some_tags, other=st.booleans())
steps = st.one_of(
    creation,
    step("change", place=places, tags=some_tags, other=st.booleans()),
    step("batch", changes=st.lists(st.tuples(places, some_tags), max_size=3), other=st.booleans()),
    step("bulk", query=queries, added=some_tags, removed=some_tags, other=st.booleans()),
    step("rename", key=one_tag, new=one_tag, other=st.booleans()),
    step("merge", key=one_tag, target=one_tag, other=st.booleans()),
    step("delete", key=one_tag),
    step("discard", place=places),
    step("restore", place=places),
)


@hunts(5)
@given(first=st.lists(creation, min_size=2, max_size=5), then=st.lists(steps, min_size=1, max_size=20))
async def test_every_tag_is_where_a_model_has_it(sign_up: SignUp, first: list[Step], then: list[Step]) -> None:
    person = await sign_up()

    model = await play(person, first + then)

    assert [await find_ids(person, key) for key in KEYS] == [model.list_ids(key) for key in KEYS]
    counts = {name: count for name, _, count, _ in model.list_tags() if count}
    untagged = [it for it in model.expenses if not (it.tags or it.is_trashed)]
    assert await count_by_tag(person) == counts | dict.fromkeys([None] * bool(untagged), len(untagged))
    assert find_damage(person) == []
