"""The protocol of `make run`: what a client can make it keep, and for how long. OWASP API4 (2023)."""

import asyncio
import json
import socket
import struct
from ipaddress import ip_network

import pytest

from infra.http_protocol import MAX_UNANSWERED, BoundedProtocol
from infra.message_bounds import MAX_FIELDS, MAX_HEAD_BYTES
from tests.support.heads import Served, get, post, post_chunked, serve

CLOSE = "Connection: close"
HALF = "GET /half HTTP/1.1\r\nHost: loc"


def status_of(answer: str) -> str:
    return answer.partition(" ")[2].partition(" ")[0]


def padded(size: int) -> str:
    """Return a request whose head has this number of bytes."""
    rest = size - len(get("/", CLOSE, "X: "))
    return get("/", CLOSE, "X: " + "a" * rest)


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD_BYTES, "200"), (MAX_HEAD_BYTES + 1, "431")])
async def test_a_head_has_32_kib_at_most(size: int, status: str) -> None:
    async with serve() as served:
        assert status_of(await served.ask(padded(size))) == status


@pytest.mark.parametrize(("fields", "status"), [(MAX_FIELDS, "200"), (MAX_FIELDS + 1, "431")])
async def test_a_head_has_100_fields_at_most(fields: int, status: str) -> None:
    async with serve() as served:
        request = get("/", CLOSE, *(["a:"] * (fields - 2)))
        assert status_of(await served.ask(request)) == status


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        ("GET /", "a", "414"),
        ("\r\n", "\r\n", "414"),
        ("\r\n\r\nGET /?", "a=b&", "414"),
        ("GET / HTTP/1.1\r\n", "a:\r\n", "431"),
        ("GET / HTTP/1.1\r\nX: ", "a", "431"),
        ("GET / HTTP/1.1\r\n", "X", "431"),
    ],
)
async def test_a_head_without_an_end_is_refused_and_not_kept(begin: str, more: str, status: str) -> None:
    async with serve() as served:
        client = (await served.connect()).send(begin)
        for _ in range(100):
            client.send(more * 10_000)
        answer = await client.read_all()
        assert status_of(answer) == status
        assert answer.count("HTTP/1.1 ") == 1


async def test_a_head_that_announces_a_body_is_bounded_as_well() -> None:
    async with serve() as served:
        client = (await served.connect()).send("POST / HTTP/1.1\r\nContent-Length: 9999999\r\nX: ")
        while not (served.state.connections and served.only.headers):  # noqa: ASYNC110  # until it has read them
            await asyncio.sleep(0)
        assert status_of(await client.send("a" * 1_000_000).read_all()) == "431"


async def test_a_refused_request_reads_as_every_other_problem() -> None:
    async with serve() as served:
        head, _, body = (await served.ask("GET\0 / HTTP/1.1\r\n\r\n")).partition("\r\n\r\n")
        problem = json.loads(body)
        assert problem["code"] == "malformed_request"
        assert head.splitlines() == [
            "HTTP/1.1 400 Bad Request",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            "connection: close",
            f"x-request-id: {problem['request_id']}",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ]


@pytest.mark.parametrize("request_", [get("/", CLOSE), post("a\r\n\r\nb", "/", CLOSE), post_chunked("a\r\n", "\r\nb")])
async def test_a_request_may_come_byte_by_byte(request_: str) -> None:
    async with serve() as served:
        client = await served.connect()
        for letter in request_:
            client.send(letter)
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.read_all()).endswith("/ a\r\n\r\nb" if "POST" in request_ else "/ ")


async def test_a_head_that_does_not_come_in_time_is_answered_with_408() -> None:
    async with serve(head_seconds=0.01) as served:
        assert status_of(await served.ask(HALF)) == "408"


@pytest.mark.parametrize("sent", ["", "\r\n", get()])
async def test_an_idle_connection_is_closed_without_an_answer(sent: str) -> None:
    async with serve(keep_alive=0.01) as served:
        assert (await served.ask(sent)).count("HTTP/1.1 ") == sent.count("GET")


# --- bodies -----------------------------------------------------------------------------------------------------------


async def test_the_fields_of_trailers_are_dropped() -> None:
    async with serve() as served:
        assert (await served.ask(post_chunked("ab", "cd", trailers=["Authorization: x"]))).endswith("/ abcd")
        assert served.headers == [b"host", b"transfer-encoding", b"connection"]


@pytest.mark.parametrize(
    "request_",
    [
        post_chunked("ab", trailers=["a: b"] * (MAX_FIELDS + 1)),
        post_chunked("ab", trailers=["a: " + "b" * 100_000]),
        post_chunked("ab", extension=";" + "b" * 100_000),
        post_chunked(*(["a"] * 100), extension=";" + "b" * 1_000),
    ],
    ids=["trailers", "a long trailer", "a long extension", "extensions"],
)
async def test_trailers_and_chunk_extensions_are_bounded_as_heads_are(request_: str) -> None:
    async with serve() as served:
        assert status_of(await served.ask(request_)) == "431"


@pytest.mark.parametrize(("chunk", "chunks"), [("a", 5_000), ("a" * 20, 20_000)])
async def test_a_body_may_come_in_small_chunks(chunk: str, chunks: int) -> None:
    async with serve() as served:
        assert (await served.ask(post_chunked(*[chunk] * chunks))).endswith(chunk * chunks)


async def test_a_long_body_in_chunks_of_one_byte_is_refused() -> None:
    """Parsing it takes a hundred times as long as the same body in one piece."""
    async with serve() as served:
        assert status_of(await served.ask(post_chunked(*["a"] * 50_000))) == "431"


async def test_between_the_parts_of_a_chunked_body_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 5.0 15.2.2: one connection that sends chunks as fast as it can stops nobody else."""
    seen: list[str] = []
    take = BoundedProtocol._take

    def note_and_take(self: BoundedProtocol, piece: bytes) -> None:
        seen.append("piece")
        take(self, piece)

    def note_round() -> None:
        seen.append("round")
        if ended is False:
            asyncio.get_running_loop().call_soon(note_round)

    monkeypatch.setattr(BoundedProtocol, "_take", note_and_take)
    ended = False
    async with serve() as served:
        client = (await served.connect()).send(post_chunked(*["a" * 20] * 2_000))
        note_round()
        assert status_of(await client.read_answer()) == "200"
        ended = True
    assert seen.count("piece") > 50_000 / 4096
    assert "piece piece" not in " ".join(seen)


@pytest.mark.parametrize("rest", ["Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "Content-Length: 99999999\r\n\r\na"])
async def test_of_a_body_whose_request_is_answered_no_end_is_awaited(rest: str) -> None:
    async with serve() as served:
        client = (await served.connect()).send(f"POST /early HTTP/1.1\r\nHost: localhost\r\n{rest}")
        assert status_of(await client.read_all()) == "200"


async def test_the_rest_of_a_short_body_may_come_after_its_answer() -> None:
    async with serve() as served:
        client = (await served.connect()).send(
            "POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\na"
        )
        assert "/early" in await client.read_answer()
        client.send("a" * 99 + get("/next"))
        assert "/next" in await client.read_answer()


async def test_a_body_that_breaks_off_is_answered_once() -> None:
    async with serve() as served:
        answer = await served.ask(post_chunked("abc").replace("\r\n3\r\n", "\r\nno length\r\n"))
        assert (status_of(answer), answer.count("HTTP/1.1 ")) == ("400", 1)
        assert served.gone == 1


# --- pipelines --------------------------------------------------------------------------------------------------------


async def test_no_more_than_eight_requests_are_taken_ahead_and_all_are_answered_in_turn() -> None:
    async with serve() as served:
        paths = ["/wait", *(f"/{number}" for number in range(1, 2_000))]
        client = (await served.connect()).send(*map(get, paths))
        await begun(served, "/wait")
        assert len(served.only.pipeline) == MAX_UNANSWERED - 1
        served.told.set()
        answers = [await client.read_answer() for _ in paths]
        assert [answer.partition("\r\n\r\n")[2].strip() for answer in answers] == paths


async def test_a_pipelined_body_waits_for_its_turn() -> None:
    async with serve() as served:
        client = (await served.connect()).send(get("/wait"), post("a" * 100_000), post_chunked("b" * 9))
        await begun(served, "/wait")
        assert served.only.cycle.body == b""
        served.told.set()
        answers = await client.read_all()
        assert answers.count("a" * 100_000) == answers.count("b" * 9) == 1


async def test_what_is_refused_is_answered_after_the_requests_before_it() -> None:
    async with serve() as served:
        client = (await served.connect()).send(get("/wait"), get("/2"), "BROKEN\r\n\r\n", get("/3"))
        await begun(served, "/wait")
        served.told.set()
        answers = (await client.read_all()).split("HTTP/1.1 ")[1:]
        assert [answer[:3] for answer in answers] == ["200", "200", "400"]


async def test_a_body_behind_an_upgrade_is_not_taken_for_a_request() -> None:
    async with serve() as served:
        upgrade = ("Connection: Upgrade", "Upgrade: h2c")
        await served.ask(post(get("/smuggled"), "/", *upgrade))
        assert served.begun == ["/"]


async def test_an_upgrade_is_ignored() -> None:
    """RFC 9110 section 7.8: a server may ignore the field and go on with HTTP/1.1."""
    async with serve() as served:
        client = await served.connect()
        answers = [await client.send(get("/", "Connection: Upgrade", "Upgrade: h2c")).read_answer() for _ in range(2)]
        assert [status_of(answer) for answer in answers] == ["200", "200"]


# --- clients that do not read -----------------------------------------------------------------------------------------


async def stall(served: Served) -> None:
    """Ask for more than the system keeps for a client that reads nothing."""
    client = await served.connect()
    client.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a socket
    client.send(*[get("/large")] * 40)


async def test_a_client_that_reads_nothing_is_ended() -> None:
    async with serve(stall_seconds=0.01) as served:
        await stall(served)
        await begun(served, "/large")
        await emptied(served)
        assert len(served.begun) < 40


async def test_at_the_end_of_the_service_it_is_ended_sooner() -> None:
    async with serve(stall_seconds_at_end=0.01) as served:
        await stall(served)
        await begun(served, "/large")
        served.connections.is_ending = True
        await emptied(served)


async def test_a_request_that_waits_behind_another_is_not_begun_when_the_service_ends() -> None:
    async with serve() as served:
        client = (await served.connect()).send(get("/wait"), get("/2"))
        await begun(served, "/wait")
        served.only.shutdown()
        served.told.set()
        assert "connection: close" in await client.read_all()
        assert served.begun == ["/wait"]


async def test_a_reset_is_told_to_every_request_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as served:
        client = (await served.connect()).send(get("/wait"), get("/wait"))
        await begun(served, "/wait")
        reset = struct.pack("ii", 1, 0)
        client.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.writer.close()
        await emptied(served)
        tasks = list(served.state.tasks)
        served.told.set()
        assert await asyncio.gather(*tasks) == [None]
        assert served.begun == ["/wait"]
        assert caplog.records == []


# --- how many ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["", HALF, get()])
@pytest.mark.parametrize("bounds", [{"in_all": 2}, {"per_address": 2}])
async def test_the_connection_that_waits_longest_makes_room(sent: str, bounds: dict[str, float]) -> None:
    async with serve(**bounds) as served:
        clients = [(await served.connect()).send(sent) for _ in range(2)]
        newcomer = (await served.connect()).send(get("/new"))
        assert (await newcomer.read_answer()).endswith("/new ")
        assert "HTTP/1.1 503" not in await clients[0].read_all()
        assert (await clients[1].send("alhost\r\n\r\n" if sent == HALF else get()).read_answer()).startswith(
            "HTTP/1.1 200"
        )


@pytest.mark.parametrize("bounds", [{"in_all": 2}, {"per_address": 2}])
async def test_only_if_all_work_a_newcomer_is_refused(bounds: dict[str, float]) -> None:
    async with serve(**bounds) as served:
        working = [(await served.connect()).send(get("/wait")) for _ in range(2)]
        await begun(served, "/wait", times=2)
        assert "\r\nretry-after: " in (refused := await served.ask(get()))
        assert status_of(refused) == "503"
        served.told.set()
        assert [status_of(await client.read_answer()) for client in working] == ["200", "200"]


async def test_a_body_that_does_not_come_is_no_work() -> None:
    async with serve(in_all=1, head_seconds=0.01) as served:
        half = (await served.connect()).send(post("abcd")[:-1])
        await begun(served, "/")
        await waiting(served)
        assert (await (await served.connect()).send(get("/new")).read_answer()).endswith("/new ")
        assert await half.read_all() == ""


async def test_of_all_the_address_with_most_makes_room() -> None:
    async with serve(in_all=3) as served:
        lone = (await served.connect("127.0.0.2")).send(get())
        await lone.read_answer()
        crowd = [(await served.connect()).send(HALF) for _ in range(2)]
        await (await served.connect("127.0.0.3")).send(get()).read_answer()
        assert await crowd[0].read_all() == ""
        assert (await lone.send(get()).read_answer()).startswith("HTTP/1.1 200")


async def test_a_trusted_proxy_is_not_bounded_by_address_and_makes_room_last() -> None:
    async with serve([ip_network("127.0.0.1/32")], per_address=2, in_all=4) as served:
        proxied = [(await served.connect()).send(get()) for _ in range(3)]
        assert [status_of(await client.read_answer()) for client in proxied] == ["200"] * 3
        stranger = (await served.connect("127.0.0.2")).send(HALF)
        await (await served.connect("127.0.0.3")).send(get()).read_answer()
        assert await stranger.read_all() == ""


async def begun(served: Served, path: str, times: int = 1) -> None:
    while served.begun.count(path) < times:  # noqa: ASYNC110  # until another task has done it
        await asyncio.sleep(0)


async def emptied(served: Served) -> None:
    while served.state.connections:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)


async def waiting(served: Served) -> None:
    while not served.only.peers.waiting:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
