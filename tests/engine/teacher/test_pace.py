"""The pace of requests on a clock of the test's own: ceilings, window, Retry-After and breaker, without sleeping."""

import heapq
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.teacher.breaker import DOWN_AFTER
from engine.teacher.ceiling import Ceiling
from engine.teacher.outcome import Fault
from engine.teacher.pace import START, Pace, Ticket

SERVER, BUSY, GONE = Fault("server", "x", 500), Fault("rate-limit", "x", 429), Fault("unreachable", "x")
EMPTY = Fault("empty", "x", 200)


@dataclass
class Sent:
    at: float
    tokens: int
    held: bool
    """The provider's Retry-After was not over."""
    open: bool
    beside: int
    """Probes in flight already."""


@dataclass
class World:
    """Requests against a scripted provider: number i takes `seconds[i]` and ends in `ends[i]`, a fault or tokens."""

    pace: Pace
    now: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    flying: list[tuple[float, int, Ticket, Fault | int]] = field(default_factory=list)
    most: int = 0

    def run(self, script: list[tuple[float, int, Fault | int]]) -> None:
        waiting = list(reversed(script))
        while waiting or self.flying:
            wait = self.pace.wait(self.now, waiting[-1][1]) if waiting else None
            if wait == 0:
                seconds, tokens, end = waiting.pop()
                probes = sum(t.probe for _, _, t, _ in self.flying)
                self.sent.append(
                    Sent(self.now, tokens, self.now < self.pace.held_until, self.pace.breaker.open, probes)
                )
                ticket = self.pace.start(self.now, tokens)
                heapq.heappush(self.flying, (self.now + seconds, len(self.sent), ticket, end))
                self.most = max(self.most, len(self.flying))
                continue
            # the pace never says "when another has ended" while there is none: that would wait for ever
            assert wait is not None or self.flying
            soonest = min([f[0] for f in self.flying[:1]] + ([] if wait is None else [self.now + wait]))
            self.now = max(self.now, soonest) if wait is None or soonest > self.now else self.now + 1e-6
            while self.flying and self.flying[0][0] <= self.now:
                _, _, ticket, end = heapq.heappop(self.flying)
                if isinstance(end, Fault):
                    self.pace.failed(self.now, ticket, end)
                else:
                    self.pace.answered(self.now, ticket, end)


def most_within(span: float, points: list[tuple[float, int]]) -> int:
    return max(sum(amount for at, amount in points if start <= at < start + span) for start, _ in points)


ends = st.one_of(
    st.integers(0, 50),
    st.sampled_from([SERVER, BUSY, GONE, EMPTY, Fault("timeout", "x"), Fault("body", "x", 200)]),
    st.floats(0, 200).map(lambda s: Fault("rate-limit", "x", 429, s)),
)


@given(
    script=st.lists(st.tuples(st.floats(0.001, 30), st.integers(50, 100), ends), min_size=1, max_size=120),
    most=st.integers(1, 20),
    rpm=st.none() | st.integers(1, 60),
    tpm=st.none() | st.integers(100, 2000),
    reached=st.booleans(),
)
def test_never_above_a_ceiling_and_never_stuck(
    script: list[tuple[float, int, Fault | int]], most: int, rpm: int | None, tpm: int | None, reached: bool
) -> None:
    world = World(Pace("it", most, rpm, tpm, reached))
    world.run(script)
    assert len(world.sent) == len(script)  # all were sent in the end
    assert world.pace.in_flight == 0
    assert world.most <= most
    assert 1 <= world.pace.window <= most
    if rpm:
        assert most_within(60, [(s.at, 1) for s in world.sent]) <= rpm
    if tpm:  # what was billed is never more than what was reserved
        billed = [t if isinstance(e, Fault) else e for _, t, e in script]
        assert most_within(60, [(s.at, b) for s, b in zip(world.sent, billed, strict=True)]) <= tpm
    assert not any(s.held for s in world.sent)
    assert all(s.beside == 0 for s in world.sent if s.open)


def test_the_window_opens_with_answers_up_to_the_most() -> None:
    pace = Pace("it", 64, None, None)
    world = World(pace)
    world.run([(1.0, 1, 1)] * 56)
    assert pace.window == 64
    assert world.most == 4 * START  # 8, then 16, then 32
    world.run([(1.0, 1, 1)] * 200)
    assert (world.most, pace.window) == (64, 64)


def test_half_of_what_is_in_flight_once_a_round_trip() -> None:
    pace = Pace("it", 64, None, None, reached=True)
    pace.window = 64
    tickets = [pace.start(0.0, 1) for _ in range(64)]
    for ticket in tickets[:9]:
        pace.failed(1.0, ticket, BUSY)
    assert pace.window == 32
    for ticket in tickets[9:]:
        pace.answered(1.0, ticket, 1)
    assert 32 < pace.window < 35  # additive from here: about one a round trip
    again = pace.start(2.0, 1)
    pace.failed(3.0, again, BUSY)
    assert pace.window == 1  # half of what was in flight, at least one


def test_faults_of_the_server_slow_it_down_where_they_are_many() -> None:
    pace = Pace("it", 64, None, None, reached=True)
    pace.window = 64
    for _ in range(20):  # one in ten
        for fault in (SERVER, *[None] * 9):
            ticket = pace.start(0.0, 1)
            pace.answered(0.0, ticket, 1) if fault is None else pace.failed(0.0, ticket, fault)
    assert pace.window == 64
    tickets = [pace.start(0.0, 1) for _ in range(64)]
    for ticket, fault in zip(tickets, (SERVER, GONE, Fault("timeout", "x")), strict=False):
        pace.failed(0.0, ticket, fault)
    assert 31 <= pace.window <= 32  # once


def test_retry_after_holds_all_and_is_said_once() -> None:
    pace = Pace("it", 4, None, None, reached=True)
    tickets = [pace.start(0.0, 1) for _ in range(4)]
    for ticket in tickets:
        pace.failed(1.0, ticket, Fault("rate-limit", "x", 429, 90.0))
    assert pace.wait(1.0, 1) == 90.0
    assert pace.wait(91.0, 1) == 0.0
    assert list(pace.notes) == [("info", "it asks to wait 90 s: nothing is sent before that")]
    assert pace.hopeless(1.0, 89.0) == "asks to wait 90 s"
    assert pace.hopeless(1.0, 91.0) is None
    assert pace.hopeless(31.0, 0.0) is None  # no more than a minute is left


def broken(pace: Pace, now: float = 0.0, fault: Fault = SERVER) -> None:
    for _ in range(DOWN_AFTER):
        pace.failed(now, pace.start(now, 1), fault)


def test_the_breaker_probes_ever_more_rarely_and_goes_on_by_itself() -> None:
    pace = Pace("it", 4, None, None)
    broken(pace)
    assert "is down: 10 requests in a row failed, the last server fault (HTTP 500): x" in pace.notes.popleft()[1]
    now, pauses = 0.0, []
    for _ in range(8):
        wait = pace.wait(now, 1)
        assert wait
        pauses.append(wait)
        now += wait
        probe = pace.start(now, 1)
        assert probe.probe
        assert pace.wait(now, 1) is None  # one at a time
        pace.failed(now, probe, GONE)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    assert pace.hopeless(now, 3600) is None
    assert str(pace.hopeless(now + 3600, 3600)).startswith("went down: no answer for 80 min")
    now += 300
    pace.answered(now, pace.start(now, 1), 1)
    assert pace.wait(now, 1) == 0.0
    assert [line for _, line in pace.notes] == ["it answers again after 25 min: going on"]
    assert pace.hopeless(now, 0) is None


def test_what_was_sent_before_the_breaker_opened_may_close_it() -> None:
    pace = Pace("it", 4, None, None)
    early = pace.start(0.0, 1)
    broken(pace)
    assert pace.wait(1.0, 1) is None
    pace.answered(1.0, early, 1)
    assert pace.wait(1.0, 1) == 0.0


def test_a_probe_that_nobody_waits_for_makes_room_for_another() -> None:
    pace = Pace("it", 4, None, None)
    broken(pace)
    pace.abandoned(pace.start(10.0, 1))
    assert pace.wait(10.0, 1) == 0.0


@pytest.mark.parametrize("fault", [GONE, Fault("timeout", "x")])
def test_an_address_where_nothing_ever_answered_opens_no_breaker(fault: Fault) -> None:
    pace = Pace("it", 4, None, None)
    broken(pace, fault=fault)
    assert not pace.breaker.open


def test_too_many_requests_mean_down_only_when_it_cannot_be_asked_any_slower() -> None:
    pace = Pace("it", 64, None, None, reached=True)
    pace.window = 64
    tickets = [pace.start(0.0, 1) for _ in range(64)]
    for ticket in tickets:
        pace.failed(1.0, ticket, BUSY)
    assert not pace.breaker.open
    for now in range(5 + DOWN_AFTER):
        if not pace.breaker.open:
            pace.failed(now, pace.start(now, 1), BUSY)
    assert pace.breaker.open


def test_questions_that_fail_by_themselves_are_no_outage() -> None:
    pace = Pace("it", 4, None, None)
    for _ in range(3 * DOWN_AFTER):
        pace.failed(0.0, pace.start(0.0, 1), EMPTY)
    assert not pace.breaker.open
    assert pace.window == 4


def test_a_ceiling_learns_what_was_really_billed() -> None:
    ceiling = Ceiling(100)
    first = ceiling.spend(0.0, 90)
    assert ceiling.wait(1.0, 20) == 59.0
    ceiling.correct(1.0, first, 30)
    assert ceiling.wait(1.0, 20) == 0.0
    assert ceiling.wait(1.0, 200) == 59.0  # more than the ceiling: alone
    assert ceiling.wait(60.0, 200) == 0.0
    ceiling.correct(61.0, first, 1000)  # forgotten by now
    assert ceiling.wait(61.0, 100) == 0.0
