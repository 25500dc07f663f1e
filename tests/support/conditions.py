"""Sends conditional requests, and reads the field errors of their problems."""

import httpx

from tests.support.people import Person

Headers = dict[str, str] | list[tuple[str, str]]


async def get(person: Person, path: str, *if_none_match: str) -> httpx.Response:
    """GET a path, with an If-None-Match header for each value."""
    return await person.get(path, headers=[("If-None-Match", value) for value in if_none_match])


async def tag_of(person: Person, path: str) -> str:
    """Return the ETag of a path; its query is left out."""
    answer = await person.get(path.partition("?")[0])
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.headers["ETag"])


def blame(answer: httpx.Response) -> list[dict[str, str]]:
    """Return the field errors of a problem, without their `detail`."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return [{name: value for name, value in error.items() if name != "detail"} for error in answer.json()["errors"]]


def places(answer: httpx.Response) -> list[str]:
    """Return the pointers, parameters and headers of a problem's field errors."""
    return sorted(location for error in blame(answer) for name, location in error.items() if name != "code")


REWRITTEN = ['W/"{}"', '"{}-gzip"', '"{}-br"', '"{}-zstd"', 'W/"{}-gzip"', 'W/"{}-br"', 'W/"{}-zstd"']
"""The forms that a tag gets when nginx, Apache or Caddy compresses the answer."""
