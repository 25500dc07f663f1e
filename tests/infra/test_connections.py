"""How many connections there may be, by address and in all. OWASP API4 (2023)."""

from http import HTTPStatus
from ipaddress import ip_network

import pytest

from infra.connections import MAX_LINGERING, Bounds, Connections, Peers


class Idle:
    """A connection on which nothing happens."""

    peers: Peers

    def __init__(self, waits_since: float = 0) -> None:
        self.waits_since = waits_since
        self.is_open = True

    def check(self, now: float) -> None:
        """Wait on."""

    def abort(self) -> None:
        """Note the end."""
        self.is_open = False


class Working(Idle):
    """A connection with a request to answer."""

    def join(self, connections: Connections, host: str) -> bool:
        """Be admitted, and get a request."""
        is_admitted = connections.admit(self, host)
        self.peers.waiting.pop(self, None)
        return is_admitted


def render_nothing(_: HTTPStatus) -> bytes:
    return b""


def limit(in_all: int = 100, per_address: int = 1, *trusted: str) -> Connections:
    bounds = Bounds(in_all, per_address, keep_alive=30)
    return Connections(bounds, render_nothing, [ip_network(network) for network in trusted])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_an_address_and_a_64_of_ipv6_count_as_one(first: str, second: str) -> None:
    connections = limit()
    assert Working().join(connections, first)
    assert not Working().join(connections, second)


@pytest.mark.parametrize(("first", "second"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")])
def test_other_addresses_count_apart(first: str, second: str) -> None:
    connections = limit()
    assert Working().join(connections, first)
    assert Working().join(connections, second)


@pytest.mark.parametrize("host", ["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::7"])
def test_a_trusted_proxy_counts_in_all_only(host: str) -> None:
    connections = limit(2, 1, "10.0.0.0/8", "2001:db8::7/128")
    assert [Working().join(connections, host) for _ in range(3)] == [True, True, False]


def test_a_neighbour_of_a_trusted_proxy_is_not_trusted() -> None:
    connections = limit(10, 1, "2001:db8::7/128")
    assert [Working().join(connections, "2001:db8::8") for _ in range(2)] == [True, False]


def test_of_two_equal_addresses_the_one_that_waits_longer_makes_room() -> None:
    connections, waiting = limit(2), [Idle(5), Idle(3)]
    for number, idle in enumerate(waiting):
        connections.admit(idle, f"192.0.2.{number}")
    assert connections.admit(Idle(9), "192.0.2.9")
    assert [idle.is_open for idle in waiting] == [True, False]


def test_a_connection_that_is_gone_leaves_room() -> None:
    connections, working = limit(), Working()
    working.join(connections, "192.0.2.1")
    connections.discard(working)
    connections.discard(working)
    assert Working().join(connections, "192.0.2.1")
    assert not Working().join(connections, "192.0.2.1")


def test_few_of_those_that_were_refused_linger() -> None:
    connections, refused = limit(), [Idle() for _ in range(MAX_LINGERING + 1)]
    for idle in refused:
        connections.admit(idle, "192.0.2.1")
        connections.let_linger(idle, 0)
    assert [idle.is_open for idle in refused] == [False] + [True] * MAX_LINGERING
