"""Elements of CAMT, picked from the XML while it is parsed, so that a large file never stands in memory as a tree.

The elements are found by their local names: the namespace tells the version, of which there are thirteen, and what is
read here has the same names in all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.expatreader import create_parser

from ledger.transfer.readers.entries import MAX_ENTRIES, TooManyEntries, UnreadableFile

_STATEMENTS: Final = ("Stmt", "Rpt", "Ntfctn")
"""A statement of camt.053, a report of camt.052, a notification of camt.054."""
_PARTIES: Final = ("Cdtr", "Dbtr", "UltmtCdtr", "UltmtDbtr")
_STATEMENT_PATHS: Final = ("Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id", "Acct/Ownr/Nm")
_ENTRY_PATHS: Final = (
    *("Amt", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "Sts/Prtry", "AcctSvcrRef", "AddtlNtryInf"),
    *("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"),
)
_DETAIL_PATHS: Final = (
    *("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt", "CdtDbtInd", "AddtlTxInf", "RltdDts/TxDtTm"),
    *("Refs/AcctSvcrRef", "Refs/EndToEndId"),
    *("RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/AddtlRmtInf"),
    *(f"RltdPties/{party}/{name}" for party in _PARTIES for name in ("Nm", "Pty/Nm", "Agt/FinInstnId/Nm")),
)
_MAX_DEPTH: Final = 60
_PIECE_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class Element:
    """One statement, entry or detail: its texts by their path, and the currencies of its amounts."""

    line: int
    values: dict[str, list[str]] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)

    def get(self, *paths: str) -> str | None:
        """Return the first text that there is."""
        for path in paths:
            if texts := self.values.get(path):
                return texts[0]
        return None

    def list(self, path: str) -> list[str]:
        """Return all texts of a path."""
        return self.values.get(path, [])


@dataclass(slots=True)
class CamtEntry:
    """An entry, the movements in it, and the statement that it belongs to."""

    statement: Element
    entry: Element
    details: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """A place in the document: what may stand below it, and whether it begins an element or is one of its paths."""

    below: "dict[str, _Place]" = field(default_factory=dict)
    path: str | None = None
    begins: str | None = None

    def add(self, paths: Iterable[str]) -> "_Place":
        """Add paths below this place, and return it."""
        for path in paths:
            place = self
            for name in path.split("/"):
                place = place.below.setdefault(name, _Place())
            place.path = path
        return self


_DETAIL: Final = _Place(begins="detail").add(_DETAIL_PATHS)
_ENTRY: Final = _Place({"NtryDtls": _Place({"TxDtls": _DETAIL}), "TxDtls": _DETAIL}, begins="entry").add(_ENTRY_PATHS)
_STATEMENT: Final = _Place({"Ntry": _ENTRY}, begins="statement").add(_STATEMENT_PATHS)
_NOWHERE: Final = _Place()
_ROOT: Final = _Place(dict.fromkeys(_STATEMENTS, _STATEMENT))


class _Picker(ContentHandler):
    """Keeps the texts of known paths; everything else passes by."""

    def __init__(self, get_line: Callable[[], int | None], take: Callable[[CamtEntry], None]) -> None:
        super().__init__()
        self.statements: list[Element] = []
        self._get_line = get_line
        self._take = take
        self._entry: CamtEntry | None = None
        self._places: list[_Place] = []
        self._elements: list[Element] = []
        self._picked: list[str] | None = None
        self._count = 0

    def startElement(self, name: str, attrs: "AttributesImpl[str]") -> None:  # noqa: N802 - named by ContentHandler
        """Begin an element, or to keep the text of one of its paths."""
        if len(self._places) > _MAX_DEPTH:
            raise UnreadableFile("This XML is nested more deeply than any statement.")
        above = self._places[-1] if self._elements else _ROOT
        place = above.below.get(name.rpartition(":")[2], _NOWHERE)
        self._places.append(place)
        self._picked = None
        if place.begins is not None:
            self._begin(place.begins)
        elif place.path is not None:
            self._picked = []
            if "Ccy" in attrs:
                self._elements[-1].currencies.setdefault(place.path, attrs["Ccy"])

    def characters(self, content: str) -> None:
        """Keep a part of a text."""
        if self._picked is not None:
            self._picked.append(content)

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802
        """End an element, or put away the text of one of its paths."""
        place = self._places.pop()
        if place.begins is not None:
            self._elements.pop()
            if place is _ENTRY and self._entry is not None:
                self._take(self._entry)
        elif self._picked is not None and place.path is not None and (text := "".join(self._picked).strip()):
            self._elements[-1].values.setdefault(place.path, []).append(text)
        self._picked = None

    def _begin(self, kind: str) -> None:
        self._count += 1
        if self._count > 3 * MAX_ENTRIES:
            raise TooManyEntries
        element = Element(self._get_line() or 1)
        self._elements.append(element)
        if kind == "statement":
            self.statements.append(element)
        elif kind == "entry":
            self._entry = CamtEntry(self.statements[-1], element)
        elif self._entry is not None:
            self._entry.details.append(element)


def parse_camt(data: bytes, take: Callable[[CamtEntry], None]) -> list[Element]:
    """Hand over each entry of an XML file, and return its statements; raise UnreadableFile if it cannot be read."""
    parser = create_parser(forbid_dtd=True)
    picker = _Picker(parser.getLineNumber, take)
    parser.setContentHandler(picker)
    data = data.lstrip()
    try:
        # Large pieces: expat reads a token again from its beginning with each piece that it spans.
        for start in range(0, len(data), _PIECE_BYTES):
            parser.feed(data[start : start + _PIECE_BYTES])
        parser.close()
    except UnreadableFile:
        raise
    except DefusedXmlException:
        raise UnreadableFile("A statement has no document type and no entities; download it again.") from None
    except (SAXParseException, ValueError, LookupError):
        raise UnreadableFile("This XML file is broken or cut off; download it again.") from None
    if not picker.statements:
        raise UnreadableFile("This XML has no statement of an account; download a statement (camt.053).")
    return picker.statements
