"""Conditional requests, and what their problems say."""

import httpx

from tests.support.people import Person

Headers = dict[str, str] | list[tuple[str, str]]


async def get(person: Person, path: str, *if_none_match: str) -> httpx.Response:
    """Read an address, on a condition if there is one, which may come on several lines."""
    return await person.get(path, headers=[("If-None-Match", it) for it in if_none_match])


async def tag_of(person: Person, path: str) -> str:
    """Return the ETag of what is at an address, whatever its query."""
    answer = await person.get(path.partition("?")[0])
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.headers["ETag"])


def blame(answer: httpx.Response) -> list[dict[str, str]]:
    """Return the entries of a problem, without their sentences."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return [{name: value for name, value in it.items() if name != "detail"} for it in answer.json()["errors"]]


def places(answer: httpx.Response) -> list[str]:
    """Return where a problem sees something wrong: pointers, parameters and headers."""
    return sorted(place for entry in blame(answer) for name, place in entry.items() if name != "code")


REWRITTEN = ['W/"{}"', '"{}-gzip"', '"{}-br"', '"{}-zstd"', 'W/"{}-gzip"', 'W/"{}-br"', 'W/"{}-zstd"']
"""What becomes of a tag where nginx, Apache or Caddy compresses the answer."""
