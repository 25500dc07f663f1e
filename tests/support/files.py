"""Files that are sent to `POST /imports`, as a client sends them."""

import json

import httpx

from tests.support.people import Person


async def send(
    person: Person, content: bytes, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    """Import a file with these fields of the form; `options` are sent as JSON."""
    data = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return await person.post("/imports", files={"file": ("statement.csv", content)}, data=data, headers=headers)


def get_pointers(answer: httpx.Response) -> list[str]:
    """Return the fields that a problem names."""
    return [error["pointer"] for error in answer.json()["errors"]]
