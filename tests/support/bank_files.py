"""Files of banks that do not exist: OFX, CAMT and MT940 around the rows that a test is about, and broken variants."""

from typing import Final

from hypothesis import strategies as st

from ledger.transfer.readers.entries import Entry, Statement

IBAN: Final = "NL91ABNA0417164300"
OFX_HEADER: Final = "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:USASCII\nCHARSET:1252\n\n"
CAMT_HEADER: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


def ofx_row(amount: str = "-12.50", day: str = "20260301", rest: str = "<FITID>A1<NAME>Corner Shop") -> str:
    """Return a movement in SGML."""
    return f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>{amount}{rest}</STMTTRN>\n"


def ofx_account(*rows: str, number: str = "123456", currency: str = "EUR") -> str:
    """Return the statement of one account in SGML."""
    return (
        f"<STMTTRNRS><STMTRS><CURDEF>{currency}<BANKACCTFROM><BANKID>1<ACCTID>{number}</BANKACCTFROM>"
        f"<BANKTRANLIST>{''.join(rows)}</BANKTRANLIST><LEDGERBAL><BALAMT>1.00</LEDGERBAL></STMTRS></STMTTRNRS>\n"
    )


def ofx(*accounts: str, header: str = OFX_HEADER) -> bytes:
    """Return an OFX file."""
    return f"{header}<OFX>\n<BANKMSGSRSV1>{''.join(accounts)}</BANKMSGSRSV1></OFX>\n".encode()


def camt_entry(amount: str = "12.50", indicator: str = "DBIT", rest: str = "", currency: str = "EUR") -> str:
    """Return a booked entry of CAMT."""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{indicator}</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>2026-03-01</Dt></BookgDt><ValDt><Dt>2026-03-02</Dt></ValDt>{rest}</Ntry>\n"
    )


def camt_details(*details: str) -> str:
    """Return the movements in an entry."""
    return f"<NtryDtls>{''.join(f'<TxDtls>{it}</TxDtls>' for it in details)}</NtryDtls>"


def camt_statement(*entries: str, account: str = f"<IBAN>{IBAN}</IBAN>", owner: str = "Ada") -> str:
    """Return the statement of one account."""
    acct = f"<Acct><Id>{account}</Id><Ownr><Nm>{owner}</Nm></Ownr></Acct>"
    balance = '<Bal><Amt Ccy="EUR">99.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-01</Dt></Dt></Bal>'
    return f"<Stmt><Id>1</Id>{acct}{balance}\n{''.join(entries)}</Stmt>"


def camt(*statements: str, version: str = "02") -> bytes:
    """Return a file of camt.053."""
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
    body = f"<BkToCstmrStmt>{''.join(statements)}</BkToCstmrStmt>"
    return f'{CAMT_HEADER}<Document xmlns="{namespace}">{body}</Document>'.encode()


def mt940(*lines: str, account: str = IBAN, currency: str = "EUR") -> bytes:
    """Return a file with one message of MT940."""
    head = (":20:STARTUMS", f":25:{account}", ":28C:1/1", f":60F:C260301{currency}100,")
    return "\r\n".join([*head, *lines, f":62F:C260331{currency}50,", "-", ""]).encode()


def only(statement: Statement) -> Entry:
    """Return the one entry of a statement."""
    (entry,) = statement.entries
    return entry


def rows(statement: Statement) -> list[tuple[str, str, str | None]]:
    """Return day, amount and currency of each entry that would be imported."""
    booked = (it for it in statement.entries if it.skip is None and not it.errors)
    return [(str(it.day), str(it.amount), it.currency) for it in booked]


@st.composite
def broken(draw: st.DrawFn, *files: bytes) -> bytes:
    """Return one of the files with a few bytes of it replaced, taken out or doubled."""
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(data[start:end] * 2), st.sampled_from(_PIECES)))
        data = data[:start] + piece + data[end:]
    return data


_PIECES: Final = [
    b"<",
    b">",
    b"&#xD800;",
    b"&#0;",
    b"\n:61:",
    b"?20",
    b"9" * 50,
    b",",
    b"//",
    b"<![CDATA[",
    b"-->",
    b"\0",
]
