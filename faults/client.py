"""The clients: an account of the service with its session, which notes each answer in the journal."""

import asyncio
import base64
import json
from typing import Any, Final

import httpx

from faults.journal import ACCOUNT, DEADLINES, READ, WRITE, Answer, Journal, Outcome, Sessions, State, Write

PASSWORD: Final = "a walk along the sea"  # noqa: S105  # of people who do not exist
# A client gives up this many seconds after the service should have answered.
PATIENCE: Final = 10.0
IDLE: Final = 2.0


class Account:
    """An account: sends its requests to one service, signs in again if its session is no longer valid."""

    def __init__(self, name: str, url: str, journal: Journal) -> None:
        self.name = name
        self.journal = journal
        self.refresh_token = ""
        self._signing_in = asyncio.Lock()
        # Certificates of the machine are not needed here, and take long to load. An idle connection is given up before
        # the service closes it, which would look like a lost answer.
        limits = httpx.Limits(keepalive_expiry=IDLE)
        self._http = httpx.AsyncClient(base_url=url, timeout=None, limits=limits, trust_env=False, verify=False)  # noqa: S113, S501

    @property
    def url(self) -> str:
        """The service that it asks."""
        return str(self._http.base_url)

    def move_to(self, url: str) -> None:
        """Ask another service from now on."""
        self._http.base_url = url

    @property
    def authorization(self) -> str:
        """The header that proves who it is."""
        return str(self._http.headers.get("Authorization", ""))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def register(self) -> Outcome:
        """Register; a repeated registration that finds the name taken has happened before."""
        form = {"username": self.name, "email": f"{self.name}@example.com", "password": PASSWORD, "currency": "EUR"}
        before = self.journal.registered.get(self.name)
        answer = await self._send(ACCOUNT, "POST", "/users/register", json=form)
        has_happened = before is Outcome.UNKNOWN and answer.code == "already_exists"
        unknown = before is Outcome.UNKNOWN and answer.status == 503
        outcome = Outcome.ACKNOWLEDGED if has_happened else Outcome.UNKNOWN if unknown else answer.outcome
        self.journal.registered[self.name] = outcome
        return outcome

    async def sign_in(self) -> Outcome:
        """Open a session, and use it from now on."""
        known = self.journal.sessions.setdefault(self.name, Sessions())
        form = {"username": self.name, "password": PASSWORD}
        answer = await self._send(ACCOUNT, "POST", "/users/token", data=form)
        if answer.outcome is Outcome.ACKNOWLEDGED:
            known.opened += 1
            known.open.add(read_session(answer.body["access_token"]))
            self._http.headers["Authorization"] = f"Bearer {answer.body['access_token']}"
            self.refresh_token = answer.body["refresh_token"]
        known.unknown += answer.outcome is Outcome.UNKNOWN
        return answer.outcome

    async def sign_out(self) -> Outcome:
        """End the session; until that is acknowledged, it may be there or be gone."""
        known = self.journal.sessions[self.name]
        sid = read_session(self.authorization)
        answer = await self._send(WRITE, "POST", "/users/logout", json={"refresh_token": self.refresh_token})
        if answer.outcome is not Outcome.REFUSED:
            known.open.discard(sid)
        if answer.outcome is Outcome.ACKNOWLEDGED:
            known.ended.add(sid)
        return answer.outcome

    async def opens_with(self, authorization: str) -> bool:
        """Return whether a session's token opens the account here."""
        answer = await self._send(READ, "GET", "/users/me", headers={"Authorization": authorization})
        return answer.outcome is Outcome.ACKNOWLEDGED

    async def read(self, path: str, **query: Any) -> Answer:
        """Read something as this account."""
        return await self._send_signed_in(READ, "GET", path, params=query)

    async def try_write(self, write: Write) -> Answer:
        """Send a write under its key, and note in it what the answer says."""
        headers = {"Idempotency-Key": write.key}
        if write.if_match is not None:
            headers["If-Match"] = f'"{write.if_match}"'
        body = _describe_body(write.body, self.name)
        answer = await self._send_signed_in(write.kind, write.method, write.path, headers=headers, **body)
        write.note(answer)
        return answer

    async def _send_signed_in(self, kind: str, method: str, path: str, **options: Any) -> Answer:
        answer = await self._send(kind, method, path, **options)
        if answer.status != httpx.codes.UNAUTHORIZED:
            return answer
        rejected = self.authorization
        async with self._signing_in:
            if rejected == self.authorization:
                await self.sign_in()
        return await self._send(kind, method, path, **options)

    async def _send(self, kind: str, method: str, path: str, **options: Any) -> Answer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(DEADLINES[kind] + PATIENCE):
                got = await self._http.request(method, path, **options)
        except (httpx.TransportError, TimeoutError) as error:
            answer = Answer(kind, self.name, began, loop.time(), code=type(error).__name__)
        else:
            body = json.loads(got.content) if got.content else None
            code = body.get("code", "") if got.is_error and isinstance(body, dict) else ""
            replayed = "Idempotency-Replayed" in got.headers
            answer = Answer(kind, self.name, began, loop.time(), got.status_code, body, code, replayed)
        self.journal.answers.append(answer)
        return answer


def _describe_body(body: Any, source: str) -> dict[str, Any]:  # noqa: ANN401
    """Return how a body is sent: a text is the statement of a bank, in a file."""
    if isinstance(body, str):
        return {"files": {"file": ("statement.csv", body.encode())}, "data": {"source": source}}
    return {} if body is None else {"json": body}


def read_session(token: str) -> str:
    """Return the id of the session that an access token belongs to, without verifying it."""
    claims = token.rpartition(" ")[2].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(f"{claims}=="))["sid"])


async def repeat_until_answered(account: Account, write: Write, seconds: float) -> None:
    """Repeat a write whose outcome is unknown under its key, until an answer says what became of it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while write.outcome is Outcome.UNKNOWN and asyncio.get_running_loop().time() < deadline:
        answer = await account.try_write(write)
        if answer.is_failure:
            await asyncio.sleep(0.3)


def write_once(account: Account, key: str, mark: str, amount: str) -> Write:
    """Return the write that creates an expense, described by `mark`, and note it in the journal."""
    body = {"amount": amount, "currency": "EUR", "date": "2026-01-31", "category": "Faults", "description": mark}
    write = Write(account.name, key, WRITE, "POST", "/expenses", body, {mark: State(amount)})
    account.journal.writes.append(write)
    return write
