"""Tokens of SGML without a document type, as OFX 1 uses it: end tags are optional, and XML is read alike.

The time is linear in the length of the text, whatever it holds: the pattern looks at most 60 characters ahead.
"""

import re
import sys
from collections.abc import Callable, Iterator
from html.entities import html5
from typing import Final, NamedTuple

_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9._-]{0,39}+)[ \t\n]{0,8}+(/?)>")
_ENTITY: Final = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z]{2,8}[0-9]?));")


class Token(NamedTuple):
    """A start tag with the text that follows it, or an end tag; names are in capitals."""

    line: int
    name: str
    text: str
    is_end: bool = False


def iterate_tokens(text: str) -> Iterator[Token]:
    """Yield the tags of a text, each with what stands before the next one."""
    text = _replace_between(text, "<!--", "-->", lambda _: "")
    text = _replace_between(text, "<![CDATA[", "]]>", lambda inner: inner.replace("&", "&amp;").replace("<", "&lt;"))
    line, counted = 1, 0
    tag = _TAG.search(text)
    while tag is not None:
        following = _TAG.search(text, tag.end())
        line += text.count("\n", counted, tag.start())
        counted = tag.start()
        if tag[1]:
            yield Token(line, tag[2].upper(), "", is_end=True)
        else:
            yield Token(line, tag[2].upper(), text[tag.end() : following.start() if following else None].strip())
        tag = following


def unescape(text: str) -> str:
    """Replace entities, also those that were escaped twice; an ampersand that begins none stays."""
    if "&" not in text:
        return text
    return _ENTITY.sub(_read_entity, _ENTITY.sub(_read_entity, text))


def _read_entity(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return html5.get(f"{name};", match[0])
    number = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(number) if number <= sys.maxunicode else ""


def _replace_between(text: str, start: str, end: str, replace: Callable[[str], str]) -> str:
    """Replace what stands between two marks, and the marks; line ends stay, so that lines can be counted."""
    if start not in text:
        return text
    first, *parts = text.split(start)
    replaced = [first]
    for part in parts:
        inner, found, rest = part.partition(end)
        kept = replace(inner)
        lost = "\n" * (inner.count("\n") - kept.count("\n"))
        replaced.append(f"{kept}{lost}{rest}" if found else f"{start}{part}")
    return "".join(replaced)
