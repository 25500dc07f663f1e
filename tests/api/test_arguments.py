"""The arguments of endpoints: those of FastAPI, for the kinds of parameters that are read here."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, Form, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from api.arguments import UnsupportedEndpoint
from api.plain_route import PlainRoute

pytestmark = pytest.mark.wire


class Search(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = 50
    category: list[str] = []
    month: Annotated[list[int] | None, Field(alias="in")] = None


class Spent(BaseModel):
    amount: int


class SignedIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    username: str
    scope: str = ""


async def find_caller(request: Request) -> str:
    return request.headers.get("x-caller", "nobody")


async def read_tags(if_match: Annotated[list[str] | None, Header(alias="If-Match")] = None) -> list[str]:
    return if_match or []


async def search(query: Annotated[Search, Query()], caller: Annotated[str, Depends(find_caller)]) -> dict[str, Any]:
    return {**query.model_dump(), "caller": caller}


async def read_one(expense_id: int, response: Response) -> dict[str, int]:
    response.headers["ETag"] = '"1"'
    return {"id": expense_id}


async def change(expense_id: int, spent: Spent, tags: Annotated[list[str], Depends(read_tags)]) -> dict[str, Any]:
    return {"id": expense_id, "amount": spent.amount, "tags": tags}


async def sign_in(form: Annotated[SignedIn, Form()]) -> dict[str, str]:
    return form.model_dump()


async def sign_out() -> None: ...


def serve(route_class: type[APIRoute]) -> FastAPI:
    app, router = FastAPI(), APIRouter(route_class=route_class)
    router.get("/expenses")(search)
    router.get("/expenses/{expense_id}")(read_one)
    router.put("/expenses/{expense_id}")(change)
    router.post("/token")(sign_in)
    router.delete("/token", status_code=204)(sign_out)
    app.router.routes.extend(router.routes)
    return app


Ask = Callable[[httpx.AsyncClient], Any]
ASKED: list[Ask] = [
    lambda it: it.get("/expenses"),
    lambda it: it.get("/expenses?limit=7&category=a", headers={"x-caller": "ada"}),
    lambda it: it.get("/expenses?category=a&category=b&in=1&in=2"),
    lambda it: it.get("/expenses?limit=seven&in=x&tpyo=1&tpyo=2&more=3"),
    lambda it: it.get("/expenses?month=1"),
    lambda it: it.get("/expenses/12"),
    lambda it: it.get("/expenses/twelve"),
    lambda it: it.put("/expenses/1", json={"amount": 2}, headers=[("If-Match", '"1"'), ("If-Match", '"2"')]),
    lambda it: it.put("/expenses/x", json={"amount": "much"}),
    lambda it: it.put("/expenses/1"),
    lambda it: it.put("/expenses/1", json=[]),
    lambda it: it.post("/token", data={"username": "ada"}),
    lambda it: it.post("/token", data={"username": "", "tpyo": ""}),
    lambda it: it.delete("/token"),
    lambda it: it.post("/expenses/12"),
]


@pytest.mark.parametrize("ask", ASKED, ids=range(len(ASKED)))
async def test_the_answer_is_that_of_fastapi(ask: Ask) -> None:
    answers = []
    for route_class in (APIRoute, PlainRoute):
        transport = httpx.ASGITransport(serve(route_class))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answer = await ask(client)
            answers.append((answer.status_code, answer.content, answer.headers.get("etag")))
    assert answers[0] == answers[1]


async def give() -> AsyncIterator[str]:
    yield "given"


async def with_cookie(flavour: Annotated[str, Cookie()]) -> None: ...


async def with_tasks(tasks: BackgroundTasks) -> None: ...


async def with_two_bodies(one: Spent, other: Spent) -> None: ...


async def with_two_queries(limit: int, offset: int) -> None: ...


def without_async() -> None: ...


async def with_yield(given: Annotated[str, Depends(give)]) -> None: ...


async def with_the_same_twice(
    one: Annotated[str, Depends(find_caller)], other: Annotated[str, Depends(find_caller)]
) -> None: ...


async def with_an_answer_of_its_own() -> Response:
    return Response()


async def with_nothing_to_answer() -> None: ...


async def with_a_single_query(limit: int) -> None: ...


async def with_a_single_header(if_match: Annotated[str, Header()]) -> None: ...


@pytest.mark.parametrize(
    "endpoint",
    [
        with_cookie,
        with_tasks,
        with_two_bodies,
        with_two_queries,
        with_a_single_query,
        with_a_single_header,
        with_yield,
        with_the_same_twice,
        without_async,
        with_an_answer_of_its_own,
        with_nothing_to_answer,
    ],
)
def test_what_is_not_served_here_is_refused_when_the_route_is_made(endpoint: Callable[..., Any]) -> None:
    with pytest.raises(UnsupportedEndpoint):
        PlainRoute("/expenses", endpoint, methods=["POST"])


def test_a_read_may_make_an_answer_of_its_own() -> None:
    assert PlainRoute("/expenses", with_an_answer_of_its_own, methods=["GET"]).response_field is None


def test_an_option_that_is_not_read_here_is_refused_when_the_route_is_made() -> None:
    with pytest.raises(UnsupportedEndpoint, match="exclude_none"):
        PlainRoute("/expenses/{expense_id}", read_one, methods=["GET"], response_model_exclude_none=True)
