"""Entity tags: parsed, and compared for If-Match and If-None-Match."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from tests.support.conditions import REWRITTEN
from values.etags import is_match, parse_etags

pytestmark = pytest.mark.usefixtures("noon")


# --- Tags as they are sent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        (['"31"'], {'"31"'}),
        (['W/"31"'], {'W/"31"'}),
        (['"31", W/"32"'], {'"31"', 'W/"32"'}),
        ([',, "31"\t,\t,"32",'], {'"31"', '"32"'}),
        (['"31"', "", 'W/"32", "33"'], {'"31"', 'W/"32"', '"33"'}),
        (['"a,b", ","'], {'"a,b"', '","'}),
        (['"", "*", "W/", "\\"'], {'""', '"*"', '"W/"', '"\\"'}),
        (['"\x80\xff"'], {'"\x80\xff"'}),
        (["\t* "], {"*"}),
    ],
)
def test_tags_are_read_as_they_were_sent(lines: list[str], tags: set[str]) -> None:
    assert parse_etags(lines) == tags


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        [" ,\t,"],
        ["31"],
        ['"31'],
        ["“31”"],
        ['w/"31"'],
        ["W/31"],
        ['W/ "31"'],
        ['"31" "32"'],
        ['"31""32"'],
        ['"3 1"'],
        ['"31\x7f"'],
        ['"31"\n'],
        ['"31"\xa0'],
        ['"\u0100"'],
        ["W/*"],
        ['*, "31"'],
        ["*", "*"],
    ],
    ids=ascii,
)
def test_what_is_no_list_of_tags_is_refused(lines: list[str]) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        parse_etags(lines)
    assert refused.value.type == "malformed"


@pytest.mark.parametrize(
    "hostile",
    [
        "," * 60_000,
        '"' * 60_001,
        " " * 60_000,
        "W/" * 30_000,
        '"' + "a" * 60_000,
        '"a"' + " " * 60_000 + "x",
        '"a"' + " ," * 30_000 + "x",
        '"a", ' * 12_000 + "x",
        ('"a"' + "," * 97) * 600 + '"',
    ],
    ids=lambda it: f"{it[:6]}-{it[-3:]}",
)
def test_a_long_and_hostile_header_is_refused_like_a_short_one(hostile: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_etags([hostile])


opaque = st.text("!#,*/W~\x80\xff0123456789", max_size=6)
sent_tags = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), opaque)
gaps = st.builds("{},{}".format, st.text(" \t", max_size=3), st.text(" \t,", max_size=3))


@st.composite
def headers_of_tags(draw: st.DrawFn) -> tuple[list[str], set[str]]:
    """A header of one line or more, with empty elements and all the space that is allowed, and the tags in it."""
    tags = draw(st.lists(st.lists(sent_tags, min_size=1, max_size=4), min_size=1, max_size=3))
    lines = [draw(st.text(" \t,", max_size=2)) + "".join(it + draw(gaps) for it in line) for line in tags]
    return lines, {it for line in tags for it in line}


@given(headers_of_tags())
def test_all_tags_of_a_header_are_read_and_no_others(header: tuple[list[str], set[str]]) -> None:
    lines, tags = header
    assert parse_etags(lines) == tags


@given(headers_of_tags(), st.sampled_from(["31", '"', '"a b"', '"a""b"', "*", 'w/"a"', "\x7f"]), st.integers(0, 3))
def test_one_broken_element_spoils_the_list(header: tuple[list[str], set[str]], broken: str, place: int) -> None:
    lines, _ = header
    with pytest.raises(PydanticCustomError):
        parse_etags([*lines[:place], broken, *lines[place:]])


@given(st.lists(st.text('W/"*, \t31') | st.text(st.characters(exclude_categories=())), max_size=4))
def test_whatever_comes_is_read_or_refused_in_order(lines: list[str]) -> None:
    with suppress(PydanticCustomError):
        assert parse_etags(lines)


# --- Tags as a compressing proxy rewrites them ------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ['"31"', *(it.format(31) for it in REWRITTEN)])
def test_a_rewritten_tag_is_still_the_rows(sent: str) -> None:
    assert is_match('"31"', frozenset(['"another"', sent]))


@pytest.mark.parametrize("sent", ['W/"1-7-31-EUR-1"', '"1-7-31-EUR-1"', '"1-7-31-EUR-1-gzip"', 'W/"1-7-31-EUR-1-br"'])
def test_a_rewritten_tag_is_still_the_lists(sent: str) -> None:
    assert is_match('W/"1-7-31-EUR-1"', frozenset([sent]))


@pytest.mark.parametrize(
    "sent",
    [
        '"310"',
        '"31-"',
        '"31gzip"',
        '"31-GZIP"',
        '"31-gzip-"',
        '"31-gzip0"',
        '"31-deflate"',
        '"-gzip"',
        '"W/31"',
        'W/"32"',
        '"32-gzip"',
        'W/"1-7-31-EUR-1"',
        '"*"',
        '""',
    ],
)
def test_what_no_proxy_makes_of_a_tag_is_another(sent: str) -> None:
    assert not is_match('"31"', frozenset([sent]))
