"""The queues in which writers wait before they take a connection."""

import asyncio

from infra.pools import LEDGER_LOCK, SESSIONS_LOCK, WriterQueue


async def wait_in(queue: WriterQueue, owner: int | None, lock: str, client: object, came: list[object]) -> None:
    """Wait for the turn, note who has it, and end it."""
    turn = await queue.acquire(owner, lock, client)
    came.append(client)
    await asyncio.sleep(0)
    if turn:
        turn.release()


async def test_writers_of_a_file_take_turns_by_client_whosever_rows_they_write() -> None:
    """ASVS 5.0 15.2.2: however many writes of one client wait, others come next."""
    queue, came = WriterQueue(10, is_single_writer=True), list[object]()
    clients = ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", 7]
    await asyncio.gather(*(wait_in(queue, None, LEDGER_LOCK, client, came) for client in clients))
    assert came == ["10.0.0.1", "10.0.0.2", 7, "10.0.0.1", "10.0.0.1"]


async def test_writers_of_a_server_wait_for_the_lock_of_an_owner_alone() -> None:
    queue, came = WriterQueue(10, is_single_writer=False), list[object]()
    held = await queue.acquire(7, LEDGER_LOCK, "first")
    waiting = asyncio.create_task(wait_in(queue, 7, LEDGER_LOCK, "second", came))
    await asyncio.sleep(0)
    for owner, lock in ((8, LEDGER_LOCK), (7, SESSIONS_LOCK), (None, LEDGER_LOCK)):
        await wait_in(queue, owner, lock, (owner, lock), came)
    assert came == [(8, LEDGER_LOCK), (7, SESSIONS_LOCK), (None, LEDGER_LOCK)]
    assert held is not None
    held.release()
    await waiting
    assert came[-1] == "second"
