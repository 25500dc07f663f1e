"""Random trees of categories: made, renamed, moved, merged and deleted, and compared with a model in plain Python."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.support.categories import listed
from tests.support.generated import hunts
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp

NAMES = ["Food", "FOOD", "Élan", "élan", "Elan", "Trips", "trips", "Rent"]
"""Five names, three of them in two spellings."""
UNCATEGORIZED = "uncategorized"
Row = dict[str, Any]


@dataclass(eq=False)
class Node:
    """A category of the model, with the number of its expenses, and whether it has a budget."""

    name: str
    parent: "Node | None" = None
    expenses: int = 0
    has_budget: bool = False

    def is_called(self, name: str) -> bool:
        return self.name.casefold() == name.casefold()


@dataclass
class Tree:
    """The model: the categories, and the number of expenses without one."""

    nodes: list[Node] = field(default_factory=list)
    uncategorized: int = 0
    revision: int = 0

    def find(self, name: str) -> Node | None:
        return next((it for it in self.nodes if it.is_called(name)), None)

    def find_or_make(self, name: str) -> Node:
        if (found := self.find(name)) is None:
            self.nodes.append(found := Node(name))
        return found

    def children(self, node: Node) -> list[Node]:
        return [it for it in self.nodes if it.parent is node]

    def allows(self, parent: str, name: str, node: Node | None = None) -> bool:
        """Whether a category that has, or gets, this name may be a part of this parent."""
        found = self.find(parent)
        is_itself = parent.casefold() == name.casefold() or (node is not None and found is node)
        has_two_levels = (found is not None and found.parent is not None) or (node and self.children(node))
        return not is_itself and not has_two_levels

    def show(self) -> dict[str, tuple[str | None, int, bool]]:
        """Return parent, number of expenses and whether there is a budget, by the names of categories."""
        return {it.name: (it.parent.name if it.parent else None, it.expenses, it.has_budget) for it in self.nodes}


@dataclass(frozen=True)
class Step:
    """Something that is done to a tree; None as the answer of `follow` says that there is nothing to do it to."""

    name: str

    def follow(self, tree: Tree) -> int | None:
        """Do it to the model; return the status that the service must answer."""
        raise NotImplementedError

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:
        """Do it by a request; `ids` are those of the categories by their casefolded names."""
        raise NotImplementedError


@dataclass(frozen=True)
class Make(Step):
    parent: str | None

    def follow(self, tree: Tree) -> int:
        if tree.find(self.name):
            return 409
        if self.parent and not tree.allows(self.parent, self.name):
            return 422
        tree.nodes.append(Node(self.name, tree.find_or_make(self.parent) if self.parent else None))
        tree.revision += 1
        return 201

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:  # noqa: ARG002
        return await person.post("/categories", json={"name": self.name, "parent": self.parent})


@dataclass(frozen=True)
class Change(Step):
    fields: dict[str, str | None]

    def follow(self, tree: Tree) -> int | None:
        if (node := tree.find(self.name)) is None:
            return None
        name = self.fields.get("name") or node.name
        parent_name = self.fields.get("parent")
        is_moved = "parent" in self.fields and parent_name != (node.parent and node.parent.name)
        if is_moved and parent_name and not tree.allows(parent_name, name, node):
            return 422
        if tree.find(name) not in {None, node}:
            return 409
        parent = tree.find_or_make(parent_name) if is_moved and parent_name else None if is_moved else node.parent
        tree.revision += (name, parent) != (node.name, node.parent)
        node.name, node.parent = name, parent
        return 200

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:
        return await person.patch(f"/categories/{ids[self.name.casefold()]}", json=self.fields)


@dataclass(frozen=True)
class Delete(Step):
    heir: str | None
    """Where its expenses go: a category, or nowhere; None: nothing is said."""

    def follow(self, tree: Tree) -> int | None:
        if (node := tree.find(self.name)) is None:
            return None
        target = None if self.heir in {None, UNCATEGORIZED} else tree.find(str(self.heir))
        if self.heir not in {None, UNCATEGORIZED} and target in {None, node}:
            return 422
        if self.heir is None and (node.expenses or node.has_budget):
            return 409
        for child in tree.children(node):
            child.parent = target if target and target.parent is None else None
        tree.nodes.remove(node)
        if target is None:
            tree.uncategorized += node.expenses
        else:
            target.expenses += node.expenses
            target.has_budget |= node.has_budget
        if target and target.parent is node:
            target.parent = None
        tree.revision += 1
        return 204

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:
        query = {UNCATEGORIZED: "true"} if self.heir == UNCATEGORIZED else {"move_to": self.heir} if self.heir else {}
        return await person.delete(f"/categories/{ids[self.name.casefold()]}", params=query)


@dataclass(frozen=True)
class Spend(Step):
    def follow(self, tree: Tree) -> int:
        tree.find_or_make(self.name).expenses += 1
        tree.revision += 1
        return 201

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:  # noqa: ARG002
        return await person.post("/expenses", json={"amount": "1.00", "category": self.name})


@dataclass(frozen=True)
class Limit(Step):
    def follow(self, tree: Tree) -> int:
        if (node := tree.find_or_make(self.name)).has_budget:
            return 409
        node.has_budget = True
        tree.revision += 1
        return 201

    async def send(self, person: Person, ids: dict[str, int]) -> httpx.Response:  # noqa: ARG002
        return await person.post("/budgets", json={"amount": "9.00", "period": "month", "category": self.name})


class Copy:
    """A client's copy of a ledger, which it keeps by the feed of changes alone."""

    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[tuple[str, int], Row] = {}

    async def update(self, person: Person) -> None:
        changes = (await person.get("/changes", params={"since": self.revision, "limit": 1_000})).json()
        kinds = {"expense": "expenses", "category": "categories", "budget": "budgets"}
        self.rows |= {(kind, it["id"]): it for kind, many in kinds.items() for it in changes[many]}
        for it in changes["deleted"]:
            self.rows.pop((it["kind"], it["id"]), None)
        self.revision = changes["revision"]

    def list(self, kind: str) -> list[Row]:
        return [self.rows[key] for key in sorted(self.rows) if key[0] == kind]


async def read_all(person: Person, path: str) -> list[Row]:
    """Return all rows of a list by their ids."""
    answer = await person.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return sorted(answer.json()["items"], key=lambda it: int(it["id"]))


def show(categories: Sequence[Row], expenses: Sequence[Row], budgets: Sequence[Row]) -> Row:
    """Return what the service holds, as the model shows it."""
    used = [it["category"] for it in expenses]
    limited = {it["category"] for it in budgets}
    return {it["name"]: (it["parent"], used.count(it["name"]), it["name"] in limited) for it in categories}


async def take(app: FastAPI, person: Person, tree: Tree, copy: Copy, step: Step) -> None:
    """Take a step here and there, and compare the answer, all rows, the ledger's revision and a client's copy."""
    ids = {it["name"].casefold(): it["id"] for it in await listed(person)}
    status = step.follow(tree)
    if status is None:
        return
    answer = await step.send(person, ids)
    assert answer.status_code == status, (step, answer.text)
    categories, expenses = await read_all(person, "/categories"), await read_all(person, "/expenses?limit=200")
    budgets = await read_all(person, "/budgets")
    assert show(categories, expenses, budgets) == tree.show(), step
    assert [it["category"] for it in expenses].count(None) == tree.uncategorized
    assert (await state_of(app, person))[0] == tree.revision, step
    await copy.update(person)
    assert [copy.list(it) for it in ("category", "expense", "budget")] == [categories, expenses, budgets], step


names = st.sampled_from(NAMES)
changes = st.fixed_dictionaries({}, optional={"name": names, "parent": st.none() | names})
heirs = st.none() | st.just(UNCATEGORIZED) | names
steps = st.lists(
    st.builds(Make, names, st.none() | names)
    | st.builds(Change, names, changes)
    | st.builds(Delete, names, heirs)
    | st.builds(Spend, names)
    | st.builds(Limit, names),
    min_size=5,
    max_size=12,
)


@hunts(8)
@given(steps=steps)
async def test_every_tree_is_what_a_model_of_it_becomes(app: FastAPI, sign_up: SignUp, steps: list[Step]) -> None:
    person, tree, copy = await sign_up(), Tree(), Copy()
    for step in steps:
        await take(app, person, tree, copy, step)

    in_the_tree = {name: parent for name, (parent, *_) in tree.show().items()}
    assert {it["name"]: it["parent"] for it in await listed(person)} == in_the_tree
