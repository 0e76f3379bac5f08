"""How long a probe is waited for: long while nothing is said, shortly once it was refused."""

from __future__ import annotations

import pytest

from node_agent.apply import probe
from node_agent.apply.probe import Patience, all_refused

_LOG = """\
Nov 26 08:00:00 n1 postfix/egress-px001/smtp[9]: 4bZk1: to=<probe-1@[198.18.0.1]>, relay=none, \
delay=0.1, delays=0/0/0.1/0, dsn=4.3.0, status=deferred (unknown mail transport error)
Nov 26 08:00:00 n1 postfix/egress-px002/smtp[9]: 4bZk2: to=<probe-2@[198.18.0.1]>, \
relay=198.18.0.1[198.18.0.1]:25, delay=0.1, dsn=2.0.0, status=sent (250 2.0.0 probe arrived)
Nov 26 08:00:01 n1 postfix/egress-px003/smtp[9]: 4bZk3: to=<probe-3@[198.18.0.1]>, relay=none, \
delay=0.1, delays=0/0/0.1/0, dsn=5.3.0, status=bounced (unknown user: "status=sent")
Nov 26 08:00:01 n1 postfix/egress-px005/smtp[9]: fatal: invalid TLS level "bananas"
Nov 26 08:00:01 n1 postfix/qmgr[9]: 4bZk4: from=<probe@px004.invalid>, size=300, nrcpt=1 (queue
"""


@pytest.mark.parametrize(
    ("egresses", "refused"),
    [
        ([1], True),
        ([1, 3], True),
        ([1, 2], False),
        ([1, 4], False),
        ([4], False),
        ([1, 5], True),
        ([6], False),
        ([], True),
    ],
)
def test_what_postfix_put_off_or_cannot_try_will_not_come(
    egresses: list[int], refused: bool
) -> None:
    queue_ids = {f"px00{n}": f"4bZk{n}" for n in egresses}
    assert all_refused(queue_ids, _LOG) is refused


def test_a_queue_id_is_told_from_one_that_begins_with_it() -> None:
    assert not all_refused({"px001": "4bZk"}, _LOG)


class Clock:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(probe, "time", clock)
    return clock


def test_silence_is_waited_out(clock: Clock) -> None:
    patience = Patience()
    clock.now_s = 29.9
    assert not patience.over()
    clock.now_s = 30.1
    assert patience.over()


def test_a_refusal_repeated_again_and_again_shortens_the_wait_once(clock: Clock) -> None:
    patience = Patience()
    for clock.now_s in (1.0, 2.0, 3.0, 4.0, 5.0, 5.9):
        patience.refused()
        assert not patience.over()
    clock.now_s = 6.1
    assert patience.over()


def test_progress_gives_the_rest_its_whole_time_again(clock: Clock) -> None:
    patience = Patience()
    patience.refused()
    clock.now_s = 4.0
    patience.renew()
    clock.now_s = 33.9
    assert not patience.over()


def test_no_progress_helps_beyond_the_longest_time(clock: Clock) -> None:
    patience = Patience()
    for second in range(0, 180, 20):
        clock.now_s = second
        patience.renew()
    clock.now_s = 180.1
    assert patience.over()
