"""Forms with files: they go to the disk within limits, and what is no such form is refused with what to send."""

import asyncio
import gc
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Form, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import requests
from api.body_sizes import MAX_BYTES_BESIDE_FILE, MAX_FILE_BYTES
from api.dependencies import BulkEditor
from api.requests import StrictRequest
from api.route import LedgerRoute
from api.turns import RequestTurns
from api.uploads import UPLOAD_TYPE, Upload, UploadReader
from config import Settings
from infra.faults import RowsMissed
from infra.uploaded_files import UploadedFile
from main import create_app
from problems import Problem
from tests.support.asgi import exchange
from tests.support.generated import hunts
from tests.support.people import Person
from tests.support.problems import advice, blamed
from values.fields import BooleanParameter, Omittable, WholeNumber
from values.shapes import RequestModel, ResponseModel

pytestmark = pytest.mark.wire


class Columns(RequestModel):
    date: Omittable[str] = None


class Options(RequestModel):
    decimal: Omittable[Literal[".", ","]] = None
    columns: Omittable[Columns] = None
    lines: Omittable[dict[str, Literal["skip", "new"]]] = None


class StatementForm(RequestModel):
    file: UploadedFile
    dry_run: BooleanParameter = False
    options: Omittable[Options] = None
    source: Omittable[Annotated[str, Field(max_length=64)]] = None
    rows: WholeNumber = Field(default=100, ge=0, le=50_000)


class Statement(ResponseModel):
    size: int
    sha256: str
    stored: bool
    """Whether the file on the disk has what was sent."""
    mode: int
    links: int
    options: Options | None
    source: str | None
    rows: int


router = APIRouter(tags=["expenses"], route_class=LedgerRoute)
lost_races: list[Exception] = []
received: list[UploadedFile] = []


@router.post("/statements", summary="Read a statement", response_model_exclude_unset=True, max_body_size=MAX_FILE_BYTES)
async def read_statement(
    ledger: BulkEditor, response: Response, form: Annotated[StatementForm, Form(media_type=UPLOAD_TYPE)]
) -> Statement:
    """Read a statement."""
    received.append(form.file)
    if lost_races:
        raise lost_races.pop()
    content = os.pread(form.file.fileno(), MAX_FILE_BYTES, 0)
    response.headers["X-Owner"] = str(ledger.owner)
    return Statement(
        size=form.file.size,
        sha256=form.file.sha256,
        stored=hashlib.sha256(content).hexdigest() == form.file.sha256,
        mode=os.fstat(form.file.fileno()).st_mode & 0o777,
        links=os.fstat(form.file.fileno()).st_nlink,
        options=form.options,
        source=form.source,
        rows=form.rows,
    )


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """A service with one operation more, which takes a form with a file."""
    app = create_app(settings)
    app.router.routes.extend(router.routes)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(autouse=True)
def _start_afresh() -> None:
    lost_races.clear()
    received.clear()


CSV = b"date;amount\r\n2026-03-01;12,50\r\n"
FORM = {"Content-Type": f"{UPLOAD_TYPE}; boundary=x"}
THE_FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="statement.csv"\r\n\r\n' + CSV + b"\r\n"
END = b"--x--\r\n"


def field(name: str, value: bytes, *headers: bytes) -> bytes:
    lines = [b"--x", b'Content-Disposition: form-data; name="%b"' % name.encode(), *headers, b"", value, b""]
    return b"\r\n".join(lines)


async def send(person: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await person.post("/statements", content=body, headers=FORM | headers)


async def post(person: Person, content: bytes = CSV, name: str = "statement.csv", **fields: object) -> httpx.Response:
    return await person.post("/statements", files={"file": (name, content)}, data=fields)


# What is read


async def test_a_file_is_stored_without_a_name_with_its_size_and_its_hash(somebody: Person) -> None:
    answer = await post(somebody)

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "size": len(CSV),
            "sha256": hashlib.sha256(CSV).hexdigest(),
            "stored": True,
            "mode": 0o600,
            "links": 0,
            "options": None,
            "source": None,
            "rows": 100,
        },
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n--x",
        b"--x--",
        b"\r\n--" * 1_000,
        b"\x00" * 5_000,
        bytes(range(256)) * 64,
        pytest.param(b"\r" * 300_000, id="returns"),
        pytest.param(os.urandom(1_000_003), id="a megabyte"),
    ],
)
async def test_whatever_the_file_holds_it_is_stored_to_the_last_byte(somebody: Person, content: bytes) -> None:
    read = (await post(somebody, content)).json()

    assert (read["size"], read["sha256"], read["stored"]) == (len(content), hashlib.sha256(content).hexdigest(), True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_it_makes_no_difference_where_the_pieces_of_a_body_end(somebody: Person, size: int) -> None:
    body = THE_FILE + field("rows", b"7") + END
    pieces = (body[start : start + size] for start in range(0, len(body), size))

    async def arrive() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    read = (await somebody.post("/statements", content=arrive(), headers=FORM)).json()

    assert (read["size"], read["rows"]) == (len(CSV), 7)


async def test_a_file_of_20_mib_is_taken(somebody: Person) -> None:
    answer = await post(somebody, b"\r\n" * (MAX_FILE_BYTES // 2), options='{"decimal": ","}')

    assert (answer.status_code, answer.json()["size"]) == (200, MAX_FILE_BYTES)


async def test_the_fields_beside_the_file_are_read(somebody: Person) -> None:
    options = '{"decimal": ",", "columns": {"date": "Datum"}}'

    read = (await post(somebody, options=options, source="Sparkonto Ä", rows="0")).json()

    assert (read["options"], read["source"], read["rows"]) == (
        {"decimal": ",", "columns": {"date": "Datum"}},
        "Sparkonto Ä",
        0,
    )


async def test_options_may_be_sent_as_a_file_of_json(somebody: Person) -> None:
    files = {"file": ("a.csv", CSV, "text/csv"), "options": ("blob", b'{"decimal": "."}', "application/json")}

    assert (await somebody.post("/statements", files=files)).json()["options"] == {"decimal": "."}


async def test_what_was_left_blank_counts_as_missing(somebody: Person) -> None:
    read = (await post(somebody, options="", source="", rows="", dry_run="")).json()

    assert (read["options"], read["source"], read["rows"]) == (None, None, 100)


async def test_the_name_of_the_file_does_not_matter(somebody: Person) -> None:
    answers = [await post(somebody, name=name) for name in ("a.csv", "../../etc/passwd", "Kontoauszug März.csv", "'\"")]

    assert {it.status_code for it in answers} == {200}


async def test_a_name_in_another_notation_makes_it_a_file_too(somebody: Person) -> None:
    body = THE_FILE.replace(b'filename="statement.csv"', b"filename*=UTF-8''M%C3%A4rz.csv") + END

    assert (await send(somebody, body)).json()["size"] == len(CSV)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        'multipart/form-data; boundary="x"',
        "Multipart/Form-Data;boundary=x",
        "multipart/form-data; charset=utf-8; boundary=x",
    ],
)
async def test_a_form_is_taken_under_each_of_its_names(somebody: Person, content_type: str) -> None:
    assert (await send(somebody, THE_FILE + END, **{"Content-Type": content_type})).status_code == 200


@pytest.mark.parametrize("body", [b"\r\n" + THE_FILE + END, THE_FILE + b"--x--", THE_FILE + END + b"an epilogue"])
async def test_line_ends_before_the_form_and_anything_behind_it_are_no_part_of_it(
    somebody: Person, body: bytes
) -> None:
    """RFC 2046 section 5.1.1."""
    assert (await send(somebody, body)).json()["size"] == len(CSV)


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"--x",
        b"--x\r\n",
        THE_FILE,
        THE_FILE + b"--x-",
        THE_FILE[:-9],
        THE_FILE[:70],
        b"a preamble\r\n" + THE_FILE + END,
        b"--y\r\n" + THE_FILE + END,
        b"--x\nContent-Disposition: form-data; name=file; filename=a\n\n1\n--x--\n",
        b"--x\r\n\r\n1\r\n" + END,
        b"--x\r\nContent-Disposition: attachment; filename=a\r\n\r\n1\r\n" + END,
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END,
        b"--x\r\nContent-Type: text/csv\r\n\r\n1\r\n" + END,
        b"--x\r\n: \r\n\r\n1\r\n" + END,
        b"--x\r\nno header\r\n\r\n1\r\n" + END,
        pytest.param(field("rows", b"1", b"a: " + b"b" * 3_000) + END, id="a long header"),
        pytest.param(field("rows", b"1", b"a" * 3_000 + b": b") + END, id="a long name of a header"),
        pytest.param(field("rows", b"1", *[b"a: b"] * 9) + END, id="many headers"),
        pytest.param(THE_FILE + field("rows", b"") * 20 + END, id="many parts"),
        b"\x00" * 50,
        b"file=1&rows=2",
        b'{"file": 1}',
    ],
)
async def test_what_is_no_form_is_a_malformed_body(somebody: Person, body: bytes) -> None:
    answer = await send(somebody, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        ";",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        f"; boundary={'x' * 71}",
        "; boundary=x\ty",
        '; boundary="x "',
    ],
)
async def test_a_form_needs_a_boundary_of_at_most_70_characters(somebody: Person, parameters: str) -> None:
    answer = await send(somebody, THE_FILE + END, **{"Content-Type": f"{UPLOAD_TYPE}{parameters}"})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert "curl -F file=@statement.csv" in answer.json()["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "text/csv",
        "multipart/mixed; boundary=x",
        "multipart/form-data2; boundary=x",
        "x" * 9_000,
    ],
)
async def test_a_body_of_another_type_is_told_what_to_send(somebody: Person, content_type: str) -> None:
    answer = await send(somebody, CSV, **{"Content-Type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "curl -F file=@statement.csv" in answer.json()["detail"]


async def test_without_a_body_a_file_is_required(somebody: Person) -> None:
    answers = [await somebody.post("/statements"), await send(somebody, b"")]

    assert [(it.status_code, blamed(it)) for it in answers] == [(422, {"/file": "required"})] * 2


@pytest.mark.parametrize("encoding", ["gzip", "identity", ""])
async def test_a_compressed_form_is_refused(somebody: Person, encoding: str) -> None:
    assert (await send(somebody, THE_FILE + END, **{"Content-Encoding": encoding})).status_code == 415


@pytest.mark.parametrize(("encoding", "status"), [("base64", 415), ("quoted-printable", 415), ("BINARY", 200)])
async def test_a_part_is_sent_as_it_is(somebody: Person, encoding: str, status: int) -> None:
    body = THE_FILE.replace(b"\r\n\r\n", f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode(), 1) + END

    assert (await send(somebody, body)).status_code == status


WRONG: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (END, {"/file": "required"}),
    "no file": (field("rows", b"5") + END, {"/file": "required"}),
    "no file chosen": (THE_FILE.replace(b"statement.csv", b"").replace(CSV, b"") + END, {"/file": "required"}),
    "the content as a text": (field("file", CSV) + END, {"/file": "wrong_type"}),
    "the name of a file": (field("file", b"statement.csv") + END, {"/file": "wrong_type"}),
    "two files": (THE_FILE + THE_FILE + END, {"/file": "not_allowed"}),
    "a field twice": (THE_FILE + field("rows", b"1") * 2 + END, {"/rows": "not_allowed"}),
    "an unknown field": (THE_FILE + field("tpyo", b"1") + END, {"/tpyo": "unknown"}),
    "an unknown file": (THE_FILE.replace(b'"file"', b'"flie"') + END, {"/flie": "unknown", "/file": "required"}),
    "no name": (THE_FILE + field("", b"1") + END, {"/": "unknown"}),
    "no UTF-8 in a name": (THE_FILE + field("tpyo", b"1").replace(b"tpyo", b"\xff") + END, {"/\ufffd": "unknown"}),
    "no boolean": (THE_FILE + field("dry_run", b"yes") + END, {"/dry_run": "wrong_type"}),
    "too many rows": (THE_FILE + field("rows", b"50001") + END, {"/rows": "out_of_range"}),
    "too few rows": (THE_FILE + field("rows", b"-1") + END, {"/rows": "out_of_range"}),
    "no whole number": (THE_FILE + field("rows", b"1.0") + END, {"/rows": "wrong_type"}),
    "no UTF-8": (THE_FILE + field("source", b"\xff") + END, {"/source": "malformed"}),
    "a long text": (THE_FILE + field("source", b"s" * 65) + END, {"/source": "too_long"}),
    "a very long text": (THE_FILE + field("source", b"s" * 65_537) + END, {"/source": "too_long"}),
    "a list": (THE_FILE + field("options", b"[]") + END, {"/options": "wrong_type"}),
    "null": (THE_FILE + field("options", b"null") + END, {"/options": "wrong_type"}),
    "a value": (THE_FILE + field("options", b'{"decimal": ";"}') + END, {"/options/decimal": "not_allowed"}),
    "a name": (THE_FILE + field("options", b'{"columns": {"d": ""}}') + END, {"/options/columns/d": "unknown"}),
    "a type": (THE_FILE + field("options", b'{"columns": {"date": 1}}') + END, {"/options/columns/date": "wrong_type"}),
    "all at once": (
        field("rows", b"x") + field("tpyo", b"") + field("options", b"{") + END,
        {"/file": "required", "/rows": "wrong_type", "/tpyo": "unknown", "/options": "malformed"},
    ),
}


@pytest.mark.parametrize(("body", "wrong"), WRONG.values(), ids=WRONG)
async def test_every_wrong_field_is_named(somebody: Person, body: bytes, wrong: dict[str, str]) -> None:
    answer = await send(somebody, body)

    assert (answer.status_code, blamed(answer)) == (422, wrong)


@pytest.mark.parametrize(
    "options",
    [
        b"{",
        b"decimal",
        b'{"decimal": ",", "decimal": "."}',
        b'{"decimal": NaN}',
        b'{"decimal": "\xff"}',
        b"\xef\xbb\xbf{}",
        pytest.param(b"[" * 33 + b"]" * 33, id="deep"),
        pytest.param(b"[" * 65_536, id="brackets"),
        pytest.param(b"[" + b"[]," * 5_000 + b"[]]", id="lists"),
        pytest.param(b"{" + b",".join(b'"%d":1' % it for it in range(2_001)) + b"}", id="members"),
    ],
)
async def test_options_are_strict_json(somebody: Person, options: bytes) -> None:
    answer = await send(somebody, THE_FILE + field("options", options) + END)

    assert (answer.status_code, blamed(answer)) == (422, {"/options": "malformed"})


async def test_options_may_decide_about_two_thousand_lines(somebody: Person) -> None:
    lines = "{" + ", ".join(f'"{line}": "skip"' for line in range(2_000)) + "}"

    assert len((await post(somebody, options=f'{{"lines": {lines}}}')).json()["options"]["lines"]) == 2_000


@pytest.mark.parametrize(
    ("body", "place", "sentence"),
    [
        (
            field("file", b"statement.csv") + END,
            "/file",
            "Send a file, as `curl -F file=@statement.csv` does: with the @",
        ),
        (THE_FILE + field("sorce", b"1") + END, "/sorce", "There is no such field; did you mean source?"),
        (THE_FILE + field("options", b'{"decimals": ","}') + END, "/options/decimals", "did you mean decimal?"),
        (THE_FILE + field("options", b'{"columns": {"day": ""}}') + END, "/options/columns/day", "there are: date."),
    ],
    ids=["no file", "a field", "an option", "an option of an option"],
)
async def test_a_wrong_field_is_told_what_to_send(somebody: Person, body: bytes, place: str, sentence: str) -> None:
    assert sentence in advice(await send(somebody, body), place)


async def test_no_refusal_repeats_what_was_sent(somebody: Person, caplog: pytest.LogCaptureFixture) -> None:
    secret = b"Tr0ub4dor-and-3"
    bodies = [field(name, secret) + END for name in ("file", "options", "source", "rows", "dry_run")]
    answers = [await send(somebody, body) for body in (*bodies, secret, b"--x\r\n" + secret + b"\r\n\r\n" + END)]

    assert secret.decode() not in "".join(it.text for it in answers) + caplog.text


# How much


async def test_a_byte_more_than_20_mib_is_too_large(somebody: Person) -> None:
    answer = await post(somebody, b"\n" * (MAX_FILE_BYTES + 1))

    assert answer.status_code == 413
    assert answer.json()["detail"] == (
        "The body is too large: this address takes at most 20 MiB. Split the file; whoever operates the service can "
        "move larger accounts, with `python -m commands backup`."
    )


async def test_a_length_that_is_too_large_is_refused_before_the_body_comes(somebody: Person) -> None:
    answer = await send(somebody, b"", **{"Content-Length": str(MAX_FILE_BYTES + MAX_BYTES_BESIDE_FILE + 1)})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "beginning",
    [THE_FILE[:-2], THE_FILE + field("source", b"s")[:-2], THE_FILE + field("tpyo", b"")[:-2], THE_FILE + END],
    ids=["file", "field", "unknown field", "epilogue"],
)
async def test_no_part_of_a_form_may_go_on_without_an_end(somebody: Person, beginning: bytes) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield beginning
        while True:
            yield b" " * 65_536

    answer = await somebody.post("/statements", content=endless(), headers=FORM)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_form_is_not_read_of_whoever_has_not_signed_in(client: httpx.AsyncClient) -> None:
    answer = await send(client, b"x" * 2**21)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


async def test_a_form_that_does_not_come_is_not_waited_for(
    app: FastAPI, somebody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "UPLOAD_SECONDS", 0.05)
    half: Message = {"type": "http.request", "body": THE_FILE, "more_body": True}

    sent = await exchange(as_caller(app, somebody), "POST", "/statements", half)

    assert next(it["status"] for it in sent if "status" in it) == 400


async def test_a_form_whose_client_goes_away_leaves_no_file(app: FastAPI, somebody: Person) -> None:
    half: Message = {"type": "http.request", "body": THE_FILE, "more_body": True}
    before = count_open_files()

    sent = await exchange(as_caller(app, somebody), "POST", "/statements", half, {"type": "http.disconnect"})

    assert [it["status"] for it in sent if "status" in it] == [400]
    assert await are_closed(before)


def as_caller(app: FastAPI, person: Person) -> ASGIApp:
    """Return the app, which takes every request as one of a form by this person."""
    headers = [(b"content-type", FORM["Content-Type"].encode()), (b"authorization", f"Bearer {person.token}".encode())]

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headers": headers}, receive, send)

    return serve


def count_open_files() -> int:
    """Return how many deleted files this process still holds open."""
    return sum(map(is_deleted, Path("/proc/self/fd").iterdir()))


def is_deleted(path: Path) -> bool:
    # A thread may close it meanwhile.
    with suppress(FileNotFoundError):
        return os.fspath(path.readlink()).endswith("(deleted)")
    return False


async def are_closed(before: int) -> bool:
    """Whether no more deleted files are open than before, within two seconds: threads close them."""
    async with asyncio.timeout(2):
        while count_open_files() > before:  # noqa: ASYNC110  # nothing tells when
            await asyncio.sleep(0.01)
    return True


# In which turns


async def test_a_client_has_one_form_on_the_disk_at_a_time(settings: Settings) -> None:
    turns = RequestTurns(settings)
    first, second, stranger = (
        turns.assign({"path": "/", "client": (ip, 1)}) for ip in ("1.1.1.1", "1.1.1.1", "2.2.2.2")
    )
    await first.take_upload()
    waiting = asyncio.ensure_future(second.take_upload())
    await stranger.take_upload()
    is_second_waiting = not waiting.done()
    first.end()
    await waiting

    assert is_second_waiting


async def test_a_form_that_does_not_come_lets_others_of_the_client_work(app: FastAPI, somebody: Person) -> None:
    half: Message = {"type": "http.request", "body": THE_FILE, "more_body": True}
    slow = asyncio.ensure_future(exchange(as_caller(app, somebody), "POST", "/statements", half))
    try:
        answers = [await somebody.get("/expenses") for _ in range(30)]
        batch = await somebody.post("/expenses/batch", json={"operations": []})
    finally:
        slow.cancel()

    assert ({it.status_code for it in answers}, batch.status_code) == ({200}, 422)


async def test_a_form_that_is_hard_to_read_lets_others_be_served(somebody: Person) -> None:
    """Each of its lines looks like a boundary until its last letter."""
    body = THE_FILE[:-2] + b"\r\n--xy" * 100_000 + b"\r\n" + END
    reading = asyncio.ensure_future(send(somebody, body))
    gaps = [await measure_gap() for _ in iter(reading.done, True)]

    assert (reading.result().json()["size"], max(gaps) < 0.25) == (len(CSV) + 600_000, True)


async def measure_gap() -> float:
    """Return how long a step on the event loop waits for its turn."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(0)
    return loop.time() - began


# Once, and again


async def test_after_a_lost_race_the_form_is_not_read_again(somebody: Person) -> None:
    lost_races.extend([RowsMissed(), RowsMissed()])

    answer = await post(somebody)

    assert (answer.json()["stored"], len(received), len(set(received))) == (True, 3, 1)


async def test_a_file_is_deleted_when_the_request_was_answered(somebody: Person) -> None:
    before = count_open_files()

    await post(somebody)
    await post(somebody, options="{")

    assert await are_closed(before)


async def test_a_request_with_a_form_is_freed_without_a_search_for_garbage(somebody: Person) -> None:
    await post(somebody)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await post(somebody)
        received.clear()
        gc.collect()
        assert [it for it in gc.garbage if isinstance(it, StrictRequest | Upload | UploadReader | RequestModel)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def replayed(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("Idempotency-Replayed")


async def repeat(person: Person, first: bytes, second: bytes, boundary: bytes = b"x") -> httpx.Response:
    """Send a form and, with the same key, another one; return the second answer."""
    once = {"Idempotency-Key": "once"}
    assert (await send(person, first + END, **once)).status_code == 200
    again = (second + END).replace(b"--x", b"--" + boundary)
    return await send(person, again, **once, **{"Content-Type": f"{UPLOAD_TYPE}; boundary={boundary.decode()}"})


@pytest.mark.parametrize(
    ("second", "boundary"),
    [
        (THE_FILE + field("rows", b"7"), b"x"),
        (THE_FILE + field("rows", b"7"), b"another"),
        (field("rows", b"7") + THE_FILE, b"x"),
        (THE_FILE.replace(b"statement", b"Kontoauszug") + field("rows", b"7") + field("options", b""), b"x"),
    ],
    ids=["the same", "boundary", "order", "name of the file"],
)
async def test_a_form_with_the_same_fields_and_the_same_file_is_the_same_request(
    person: Person, second: bytes, boundary: bytes
) -> None:
    assert replayed(await repeat(person, THE_FILE + field("rows", b"7"), second, boundary)) == (200, "true")


@pytest.mark.parametrize(
    "second",
    [
        THE_FILE,
        THE_FILE + field("rows", b"8"),
        THE_FILE + field("rows", b"7") * 2,
        THE_FILE + field("rows", b"7") + field("tpyo", b""),
        THE_FILE + field("rows", b"7") + field("source", b"s"),
        THE_FILE.replace(b"12,50", b"12,51") + field("rows", b"7"),
        field("file", hashlib.sha256(CSV).hexdigest().encode()) + field("rows", b"7"),
    ],
    ids=["fewer fields", "another value", "twice", "unknown", "one more", "another file", "the hash for the file"],
)
async def test_a_form_with_anything_else_is_another_request(person: Person, second: bytes) -> None:
    answer = await repeat(person, THE_FILE + field("rows", b"7"), second)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_preview_ignores_the_key_and_is_not_remembered(person: Person) -> None:
    preview, once = THE_FILE + field("dry_run", b"true") + END, {"Idempotency-Key": "once"}
    before = [replayed(await send(person, preview, **once)) for _ in range(2)]
    done = replayed(await send(person, THE_FILE + END, **once))
    after = replayed(await send(person, preview, **once))

    assert [*before, done, after] == [(200, None)] * 4


# Whatever is sent

boundaries = st.sampled_from([b"--x\r\n", b"\r\n--x\r\n", b"\r\n--x--\r\n", b"--x--", b"\r\n", b"\r\n\r\n", b"--"])
heads = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="file"; filename="a"',
        b"Content-Disposition: form-data; name=options",
        b'Content-Disposition: form-data; name="',
        b"Content-Transfer-Encoding: ",
        b":",
        b";",
    ]
)
contents = st.sampled_from([CSV, b"{}", b'{"columns":', b"\xff\xfe", b"\x00"]) | st.binary(max_size=20)
hostile_forms = st.lists(boundaries | heads | contents, max_size=16).map(b"".join)


@hunts(200)
@given(body=hostile_forms)
async def test_no_form_is_an_error_of_ours(somebody: Person, body: bytes) -> None:
    answer = await send(somebody, body)

    assert answer.status_code in {200, 400, 415, 422}


@hunts(200)
@given(body=hostile_forms | hostile_forms.map(lambda it: THE_FILE[:-2] + it + b"\r\n" + END))
async def test_where_its_pieces_end_makes_no_difference_to_any_form(body: bytes) -> None:
    whole, *others = [await read_in_pieces(body, size) for size in (len(body) + 1, 1, 2, 5)]

    assert others == [whole] * 3


async def read_in_pieces(body: bytes, size: int) -> object:
    """Return what is read of a body that comes in pieces of this size, or the code of the problem."""
    reader = UploadReader(FORM["Content-Type"], StatementForm, MAX_FILE_BYTES)
    try:
        for start in range(0, len(body), size):
            await reader.feed(body[start : start + size])
        await reader.finish()
    except Problem as problem:
        return problem.code
    else:
        return reader.upload.describe(), reader.upload.errors
    finally:
        reader.end()
        reader.upload.close()


@hunts(100)
@given(name=st.binary(), value=st.binary())
async def test_no_field_is_an_error_of_ours(somebody: Person, name: bytes, value: bytes) -> None:
    answer = await send(somebody, THE_FILE + field("tpyo", value).replace(b"tpyo", name) + END)

    assert answer.status_code in {200, 400, 422}


@hunts(100)
@given(content_type=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=300))
async def test_no_content_type_is_an_error_of_ours(somebody: Person, content_type: str) -> None:
    header = f"{UPLOAD_TYPE}; {content_type}".encode("latin-1")

    answer = await somebody.post("/statements", content=THE_FILE + END, headers={b"Content-Type": header})

    assert answer.status_code in {200, 400, 415}


async def test_a_full_disk_is_answered_with_503(somebody: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr("infra.uploaded_files.TemporaryFile", lambda **_: full.open("wb", buffering=0))

    answer = await post(somebody)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


# The document


def describe(app: FastAPI) -> tuple[dict[str, Any], dict[str, Any]]:
    document = app.openapi()
    return document["paths"]["/statements"]["post"], document["components"]["schemas"]["StatementForm"]


def test_the_document_shows_a_file_to_choose(app: FastAPI) -> None:
    operation, schema = describe(app)

    assert operation["requestBody"]["content"] == {
        UPLOAD_TYPE: {"schema": {"$ref": "#/components/schemas/StatementForm"}}
    }
    assert (schema["properties"]["file"]["format"], schema["required"]) == ("binary", ["file"])


def test_the_document_names_what_can_be_wrong_with_a_form(app: FastAPI) -> None:
    operation, _ = describe(app)

    assert {"400", "401", "403", "413", "415", "422", "429"} <= operation["responses"].keys()
    assert "curl -F file=@statement.csv" in str(operation["responses"]["415"])


def test_a_preview_has_as_much_time_as_what_it_previews() -> None:
    [route] = [it for it in router.routes if isinstance(it, LedgerRoute)]

    assert (route.deadline, route.max_body_bytes) == (60, MAX_FILE_BYTES)
