"""Hashes and verifies passwords in threads of low priority, so that other requests are not delayed.

Waiting networks are served in turn, and one account uses at most half of the threads, from however many networks.
"""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from passlib.context import CryptContext

from infra.fair_turns import FairTurns, Turn
from infra.faults import OwnQueueFull, QueueFull
from problems import TooManyRequests, Unavailable
from values.passwords import normalize_password

T = TypeVar("T")

# The answer is 503 if a hash would wait over 10 s; one of cost 12 takes 0.25 s.
MAX_WAIT_SECONDS: Final = 10
SECONDS_PER_HASH: Final = 0.25
REFERENCE_COST: Final = 12
HASH_NICENESS: Final = 2


class PasswordHasher:
    """Hashes and verifies passwords with bcrypt, in low-priority threads, as many as cores."""

    def __init__(self, rounds: int) -> None:
        # New hashes use bcrypt_sha256, because plain bcrypt reads only 72 bytes; plain ones verify, then are replaced.
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        cores = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(cores, "hash", initializer=_lower_priority)
        capacity = compute_capacity(cores, rounds)
        self._queue = FairTurns(cores, capacity - cores)
        self._shares = FairTurns(capacity, capacity, share=max(1, cores // 2))
        self._dummy_hash = self._context.hash(secrets.token_hex(16))

    async def hash(self, password: str, network: str = "", account: int | None = None) -> str:
        """Return the hash to store.

        The job counts for the network and, if the caller is signed in, for the account: raises Unavailable if the
        queue refuses it, TooManyRequests if the account has too many of them.
        """
        return await self._in_thread(network, account, lambda: self._context.hash(normalize_password(password)))

    async def verify(self, password: str, stored: str | None, network: str = "", account: int | None = None) -> bool:
        """Whether the password is right; for an unknown user (`stored` None) it is wrong and takes as long.

        The job counts, and is refused, as in `hash`.
        """
        right = await self._in_thread(
            network, account, lambda: self._matches(normalize_password(password), stored or self._dummy_hash)
        )
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash has another scheme or cost than new hashes get."""
        return self._context.needs_update(stored)

    def close(self) -> None:
        """End the threads, after the hashes that are under way."""
        self._threads.shutdown()

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return bool(self._context.verify(password, stored))
        except ValueError:
            # Plain bcrypt accepts neither NUL nor more than 72 bytes, so the password is wrong. A dummy is verified, so
            # that the time does not reveal who has such a hash: with another text, which is accepted for certain.
            self._context.verify("", self._dummy_hash)
            return False

    async def _in_thread(self, network: str, account: int | None, work: Callable[[], T]) -> T:
        share = None if account is None else await self._take_share(account)
        try:
            async with self._queue.take(network):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except QueueFull:
            raise Unavailable from None
        finally:
            if share is not None:
                share.release()

    async def _take_share(self, account: int) -> Turn:
        try:
            return await self._shares.acquire(account)
        except OwnQueueFull:
            raise TooManyRequests from None
        except QueueFull:
            raise Unavailable from None


def compute_capacity(cores: int, rounds: int) -> int:
    """Return how many hashes of this cost may run or wait, so that the last is done within 10 s."""
    return max(cores, int(cores * MAX_WAIT_SECONDS / (SECONDS_PER_HASH * 2 ** (rounds - REFERENCE_COST))))


def _lower_priority() -> None:
    # bcrypt releases the GIL but keeps the core busy: at normal priority, reads would wait behind sign-ins.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASH_NICENESS)
