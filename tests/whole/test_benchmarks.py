"""What `make bench` computes and prints, and what `make bench abuse` sends; nothing is timed here.

The rank test says whether two kinds of sign-in can be told apart.
"""

from collections import Counter
from collections.abc import Mapping
from math import inf

import pytest

from benchmarks import abuse
from benchmarks.abuse import KINDS, Measured, Row, Seen
from benchmarks.abuse_table import is_bad, write_abuse_table, write_answers
from benchmarks.attacks import ATTACKS, Attack, Attacker
from benchmarks.crowd import LOST, NUMBER, REVISION, Outcome, fill_in, read_answer, read_content_length
from benchmarks.exports import Exports, write_exports_table
from benchmarks.imports import Imports, write_imports_table, write_statement
from benchmarks.profiles import Profile, count_own_samples, write_profile
from benchmarks.questions import Answered
from benchmarks.scale import Scale
from benchmarks.scale_table import write_scale_table, write_workers_table
from benchmarks.second_worker import Served, Shared
from benchmarks.throughput import OPERATIONS, Compared, Throughput, Turns
from benchmarks.throughput_table import write_throughput_table
from benchmarks.timing import rank_test
from ledger.transfer.readers.reading import Request, read_file
from tests.support.servers import ROOT

# Ages at the diagnosis of diabetes, of men and of women: the example in SciPy's documentation of mannwhitneyu.
MEN = (19.0, 22.0, 16.0, 29.0, 24.0)
WOMEN = (20.0, 11.0, 17.0, 12.0)


def test_the_rank_test_gives_the_p_of_a_published_example() -> None:
    assert rank_test(MEN, WOMEN) == pytest.approx(0.11134688653314041)


def test_ties_narrow_the_spread() -> None:
    # As SciPy has it; without the correction it would be 0.0547.
    assert rank_test((1, 2, 2, 3, 3, 3), (2, 3, 4, 4, 5, 5)) == pytest.approx(0.047967873742731204)


def test_which_of_the_two_is_named_first_changes_nothing() -> None:
    assert rank_test(WOMEN, MEN) == pytest.approx(rank_test(MEN, WOMEN))


def test_a_shift_of_every_rank_is_told_apart() -> None:
    assert rank_test(range(1, 101), range(31, 131)) == pytest.approx(4.676768383107447e-10)


def test_samples_that_are_all_alike_cannot_be_told_apart() -> None:
    assert rank_test((1, 1, 1), (1, 1, 1)) == 1


# --- attacks ----------------------------------------------------------------------------------------------------------

SOMEBODY = Attacker("token", 7)


def _see(latency: float, answers: Mapping[str, int] | None = None) -> Seen:
    return Seen({kind: Outcome(10, Counter(answers or {"200": 10}), [latency] * 10, 1.0) for kind in KINDS}, 0.1)


def _measure(latency: float, answers: Mapping[str, int] | None = None) -> Measured:
    """Return what is measured if the other user's answers take so long, and one second when it is quiet."""
    row = Row(
        "shouting",
        "one mouth",
        Outcome(5, Counter({"200": 5}), [0.1] * 5, 1.0),
        _see(latency, answers),
        0.0,
        0,
        0,
        False,
    )
    return Measured("SQLite", _see(1.0), "before", 0.0, [row])


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_an_attack_sends_has_the_length_that_its_head_says(attack: Attack) -> None:
    requests = [request.encode().partition(b"\r\n\r\n") for request in attack.write(SOMEBODY)]

    assert [len(body) for _, _, body in requests] == [read_content_length(head) for head, _, _ in requests]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_an_attack_sends_is_no_larger_than_the_service_accepts(attack: Attack) -> None:
    most = {"/expenses/batch": 1 << 20, "/imports": 20 << 20}
    for request in attack.write(SOMEBODY):
        head, _, body = request.partition("\r\n\r\n")
        assert len(body.encode()) <= most.get(head.partition(" HTTP")[0].removeprefix("POST "), 1 << 16)


def test_a_number_and_a_revision_take_the_place_of_their_names_without_changing_the_length() -> None:
    request = f"{NUMBER} {REVISION}".encode()

    assert fill_in(request, 12, b"31") == b"00000012 31        "


def test_an_answer_in_chunks_has_no_length() -> None:
    assert read_content_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked") == inf


def test_an_answer_is_told_by_its_status_and_the_code_of_its_problem() -> None:
    assert read_answer(b"HTTP/1.1 200 OK\r\n\r\n{}") == "200"
    assert read_answer(b'HTTP/1.1 429 Too Many\r\n\r\n{"code":"too_many_attempts"}') == "429 too_many_attempts"
    assert read_answer(b"HTTP/1.1 431 Too Large\r\n\r\n") == "431"


def test_the_answers_of_an_attack_are_counted_and_the_bound_behind_most_of_them_is_named() -> None:
    answers = Counter({"200": 7, "429 too_many_attempts": 30, "503 unavailable": 2, LOST: 1})

    assert write_answers(answers) == "30x429 7x200 2x503 too_many_attempts"


def test_attacks_are_chosen_by_a_part_of_their_names_in_any_case() -> None:
    assert [attack.name for attack in abuse.choose(["get /READY"])] == ["GET /ready"]
    assert abuse.choose([]) == list(ATTACKS)
    assert abuse.choose(["no such attack"]) == []


def test_the_quiet_time_is_the_one_with_more_answers_a_second() -> None:
    brief, long = _see(1.0), _see(1.0)
    long.of["GET"].latencies.append(1.0)
    long.of["GET"].seconds = 2.0

    assert abuse.find_quietest({"before": brief, "after": long}) == "before"


def test_another_user_may_wait_five_times_as_long_as_when_it_is_quiet_and_no_longer() -> None:
    fine, slow = _measure(5.0), _measure(5.1)

    assert not is_bad(fine, fine.rows[0])
    assert is_bad(slow, slow.rows[0])


def test_another_user_may_get_no_answer_but_a_success() -> None:
    measured = _measure(1.0, {"200": 9, "503 unavailable": 1})

    assert is_bad(measured, measured.rows[0])


def test_nothing_is_worse_than_no_answer_at_all() -> None:
    seen = Seen({kind: Outcome(1, Counter({LOST: 1}), [], 1.0) for kind in KINDS}, 0.1)
    row = Row("shouting", "one mouth", Outcome(seconds=1.0), seen, 0.0, 0, 0, False)
    *_, worst, listed = write_abuse_table(Measured("SQLite", _see(1.0), "before", 0.0, [row]))

    assert worst == "  the worst: inf x, sign-in during: shouting"
    assert listed == "  over 5 x or with a failure: 1 of 1: shouting"


def test_the_table_ends_with_the_worst_ratio_and_the_attacks_that_did_too_much() -> None:
    *_, worst, listed = write_abuse_table(_measure(7.5))

    assert worst == "  the worst: 7.5 x, sign-in during: shouting"
    assert listed == "  over 5 x or with a failure: 1 of 1: shouting"


# --- profiles ---------------------------------------------------------------------------------------------------------

STACKS = f"""\
<module> (uvicorn/__main__.py:4);run (/venv/lib/python3.13/site-packages/uvicorn/server.py:9) 2
<module> (main.py:1);run (/venv/lib/python3.13/site-packages/uvicorn/server.py:9);read ({ROOT}/infra/pools.py:7) 5
_bootstrap (threading.py:1);read ({ROOT}/infra/pools.py:7) 1
_bootstrap (threading.py:1);_worker (/usr/lib/python3.13/concurrent/futures/thread.py:69) 40
"""


def test_a_sample_counts_for_the_function_at_the_top_of_its_stack_unless_that_waits() -> None:
    assert count_own_samples(STACKS) == {("read", "infra/pools.py:7"): 6, ("run", "uvicorn/server.py:9"): 2}


def test_the_costliest_functions_are_listed_with_their_shares() -> None:
    _, title, *lines = write_profile(Profile("page", "aiomysql", count_own_samples(STACKS)))

    assert title == "own time of the service, page, aiomysql, costliest of 2 functions"
    assert [line.split() for line in lines] == [
        ["75.0%", "read", "infra/pools.py:7"],
        ["25.0%", "run", "uvicorn/server.py:9"],
    ]


# --- throughput -------------------------------------------------------------------------------------------------------


def _compare(of_floor: float, busy: float = 1.0) -> list[str]:
    """Return the table of a service that serves 1,000 pages a second, which is so much of what the floor serves."""
    rates = {"service": 1000.0, "floor": 1000 / of_floor, "textbook": 400.0}
    turns = {name: Turns([rate], [1e6 / rate], [busy], [0.008], [0.012], 2) for name, rate in rates.items()}
    resident = dict.fromkeys(rates, 100 << 20)
    return list(write_throughput_table(Compared("asyncmy", [Throughput(OPERATIONS[0], turns)], resident, [])))


def test_the_requests_a_second_are_judged_by_the_goals_of_the_driver() -> None:
    assert " ".join(_compare(0.61)[2].split()) == "page 1000 1639 400 0.61 ok >= 0.60 2.50 ok >= 1.60"
    assert " ".join(_compare(0.59)[2].split()) == "page 1000 1695 400 0.59 NO >= 0.60 2.50 ok >= 1.60"


def test_the_table_shows_latencies_and_memory_and_ends_with_what_one_core_serves() -> None:
    lines = [line.split() for line in _compare(0.61)]

    assert ["page", "8.00", "8.00", "8.00"] in lines
    assert ["page", "12.00", "12.00", "12.00"] in lines
    assert ["MB", "resident", "100", "100", "100"] in lines
    assert lines[-1] == ["one", "core", "serves", "1,000", "pages,", "50,000", "rows", "a", "second"]


def test_the_table_warns_if_a_worker_did_not_have_its_core() -> None:
    assert _compare(0.61, busy=0.84)[-1].startswith("! A worker did not have its core all the time")


# --- imports and exports ----------------------------------------------------------------------------------------------


def test_an_import_is_judged_by_the_time_of_the_bare_inserts() -> None:
    _, title, preview, real, memory = write_imports_table(Imports("asyncmy", 50_000, 1.0, 2.0, 3.1, 3 << 20))

    assert title.split() == ["ms,", "50,000", "rows,", "asyncmy", "INSERTs", "import", "times", "as", "long"]
    assert preview.split()[-6:] == ["1000.00", "2000.00", "2.00", "ok", "<=", "3.00"]
    assert real.split()[-4:] == ["3.10", "NO", "<=", "3.00"]
    assert memory.split()[-1] == "3.0"


def test_the_statement_of_the_benchmark_is_read_without_a_question() -> None:
    reading = read_file(write_statement(200).encode(), "csv", Request(currency="EUR"))

    assert ([draft.status for draft in reading.drafts], reading.questions) == (["read"] * 200, [])


def test_an_export_is_judged_by_its_share_of_the_speed_of_the_bare_select() -> None:
    _, title, row, memory = write_exports_table(Exports("asyncmy", 100_000, 0.5, 1.0, 3 << 20))
    _, _, slow, _ = write_exports_table(Exports("asyncmy", 100_000, 0.5, 1.3, 3 << 20))

    assert title.split() == ["ms,", "100,000", "expenses,", "asyncmy", "SELECT", "export", "of", "its", "speed"]
    assert row.split()[-6:] == ["500.00", "1000.00", "0.50", "ok", ">=", "0.40"]
    assert slow.split()[-4:] == ["0.38", "NO", ">=", "0.40"]
    assert memory.split()[-1] == "3.0"


# --- scale ------------------------------------------------------------------------------------------------------------

FINE = {"200": 3}


def _scale(*answers: Answered, reads: str = "") -> list[str]:
    """Return the table of one question, asked at two sizes."""
    return list(
        write_scale_table(Scale("users", [100, 1_000], {"a page": answers}, {"a page": reads} if reads else {}))
    )


def test_what_a_request_costs_is_written_as_a_multiple_of_the_smallest_size() -> None:
    lines = _scale(Answered(0.004, 0.002, FINE), Answered(0.005, 0.0025, FINE))

    assert [line.split() for line in lines if "a page" in line] == [
        ["a", "page", "2.00", "ms", "1.25"],
        ["a", "page", "4.00", "5.00"],
    ]
    assert lines[-1] == "nothing costs more than 1.5 times as much at the largest size"


def test_what_grows_is_explained_and_marked_if_it_need_not() -> None:
    answers = Answered(0.004, 0.002, FINE), Answered(0.05, 0.025, FINE)

    assert _scale(*answers, reads="all expenses")[-1] == "  12.5 times: a page: it reads all expenses"
    assert _scale(*answers)[-1] == "! 12.5 times: a page: it need not"


def test_an_answer_that_is_slow_or_no_success_is_marked() -> None:
    slow, refused = Answered(5.1, 0.002, FINE), Answered(0.1, 0.002, {"503": 1})

    assert [line.endswith("!") for line in _scale(Answered(0.1, 0.1, FINE), slow) if "a page" in line] == [False, True]
    assert [line.split()[-2:] for line in _scale(slow, refused) if "a page" in line] == [["1x503", "!"]] * 2


def test_a_second_worker_is_measured_against_the_first_and_not_where_cores_are_missing() -> None:
    first, second, held_up = Served(1000, 1.2), Served(1400, 1.9), Served(900, 1.1)
    _, _, row, *_ = write_workers_table(Shared(2, {"page": {1: first, 2: second}}))
    *_, warning, _ = write_workers_table(Shared(2, {"page": {1: first, 2: held_up}}))

    assert row.split() == ["page", "1000", "1400", "1.40", "1.20", "->", "1.90"]
    assert warning.startswith("! Two workers did not get their cores")
