"""Origins: compared with what browsers send, however they are written."""

import pytest

from values.origins import parse_origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example", "https://app.example"),
        (" https://app.example/ ", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80/", "http://app.example"),
        ("http://app.example:", "http://app.example"),
        ("https://app.example:0443", "https://app.example"),
        ("https://app.example:80", "https://app.example:80"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://localhost:65535", "http://localhost:65535"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://bu\u0308cher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://日本語。jp", "https://xn--wgv71a119e.jp"),
        ("https://i❤.ws", "https://xn--i-7iq.ws"),
        ("http://my_nas.local:8080", "http://my_nas.local:8080"),
        ("http://büro_nas.local", "http://xn--bro_nas-n2a.local"),
        ("http://192.168.1.5:3000", "http://192.168.1.5:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://[FE80:0:0::1]", "http://[fe80::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
def test_an_origin_is_spelled_as_browsers_send_it(written: str, sent: str) -> None:
    assert parse_origin(written) == sent
    assert parse_origin(sent) == sent


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "null",
        "file://",
        "app.example",
        "//app.example",
        "https://",
        "https:///",
        "https://*.example.com",
        "https://app.*",
        "https://*",
        "https://app.example:*",
        "https://app.example/page",
        "https://app.example//",
        "https://app.example?a=b",
        "https://app.example#top",
        "https://ada@app.example",
        "https://ada:hunter2@app.example",
        "https://app.example:65536",
        "https://app.example:123456",
        "https://app.example:http",
        "https://a.example https://b.example",
        "https://app%2eexample",
        "https://app.example\\page",
        "http://[::1",
        "http://[::g]",
        "http://[1:2]",
        "http://::1",
        "https://a／b.example",
        "https://app.example：443",
        "https://\ud800.example",
        "https://a\u2488com",
    ],
)
def test_what_no_browser_sends_is_no_origin(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_origin(written)
