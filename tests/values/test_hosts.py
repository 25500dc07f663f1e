"""Hosts: compared without port, case and the dot at the end, however they are written."""

import pytest

from values.hosts import is_address, is_loopback, matches_host, parse_host, parse_host_pattern


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("money.example.org", "money.example.org"),
        ("Money.Example.ORG", "money.example.org"),
        ("money.example.org.", "money.example.org"),
        ("money.example.org.:8443", "money.example.org"),
        ("money.example.org:", "money.example.org"),
        (" localhost:8000 ", "localhost"),
        ("my_nas", "my_nas"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[2001:DB8:0::1]:8000", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
    ],
)
def test_a_host_is_compared_without_what_makes_no_difference(written: str, host: str) -> None:
    assert parse_host(written) == host
    assert parse_host(host) == host


@pytest.mark.parametrize(
    "written",
    [
        *["", ".", "*", ":8000", "::1", "[::1", "[::g]", "a b", "https://a.example", "a.example/", "a@b"],
        *["a.example:x", "a.example..", "a.example:123456", "a%2eexample", "*.example.org", "a\n.b", "\u2488com"],
    ],
)
def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_host(written)


@pytest.mark.parametrize("written", ["*", "*.", "*.*.example.org", "money.*", "*example.org", "https://*.example.org"])
def test_a_star_stands_for_whole_names_below_one_only(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_host_pattern(written)


@pytest.mark.parametrize(
    ("host", "pattern", "is_one"),
    [
        ("a.example", "a.example", True),
        ("b.example", "a.example", False),
        ("sub.a.example", "a.example", False),
        ("sub.a.example", "*.a.example", True),
        ("deep.sub.a.example", "*.a.example", True),
        ("a.example", "*.a.example", False),
        ("nota.example", "*.a.example", False),
        ("a.example.evil.example", "*.a.example", False),
    ],
)
def test_a_pattern_stands_for_names_below_its_own(host: str, pattern: str, is_one: bool) -> None:
    assert matches_host(host, parse_host_pattern(pattern)) == is_one


@pytest.mark.parametrize(
    "host", ["localhost", "money.localhost", "127.0.0.1", "127.255.0.9", "[::1]", "::1", "[::ffff:127.0.0.1]"]
)
def test_some_hosts_are_always_the_machine_itself(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *["localhost.example.org", "notlocalhost", "127.0.0.1.example.org", "128.0.0.1", "0.0.0.0"],  # noqa: S104
        *["[::]", "[2001:db8::1]", "192.168.1.5", "[::ffff:192.168.1.5]", ""],
    ],
)
def test_any_other_may_be_another_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("host", "is_one"), [("192.0.2.1", True), ("[2001:db8::1]", True), ("192.0.2.example", False)])
def test_an_address_is_told_from_a_name(host: str, is_one: bool) -> None:
    assert is_address(host) == is_one
