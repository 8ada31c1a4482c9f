"""New data waits for keys, and not for ever."""

from app.frames import LATE, QUIET, Frames
from screens.reading.reader import Nothing, Snapshot

OLD, NEW = Snapshot(Nothing(), 1), Snapshot(Nothing(), 2)


def test_what_is_new_waits_until_no_key_came_for_a_moment() -> None:
    frames = Frames()
    assert not frames.waits(OLD, 10.0)
    frames.pressed(10.0)
    assert frames.waits(OLD, 10.1)
    assert frames.waits(NEW, 10.12)
    assert frames.due(10.0 + QUIET / 2) is None
    assert frames.any_waits
    assert frames.due(10.0 + QUIET) is NEW
    assert not frames.any_waits
    assert frames.due(11.0) is None


def test_it_is_drawn_behind_a_key_where_they_keep_coming() -> None:
    frames = Frames()
    frames.pressed(10.0)
    assert frames.waits(OLD, 10.0)
    at = 10.0
    while at < 10.0 + LATE - QUIET:
        at += QUIET / 2
        frames.pressed(at)
        assert frames.due(at) is None
        assert frames.waits(NEW, at)  # newer data does not begin to wait anew
    frames.pressed(10.0 + LATE)
    assert frames.due(10.0 + LATE) is NEW


def test_what_a_key_asked_for_does_not_wait_and_what_was_read_before_it_is_dropped() -> None:
    frames = Frames()
    frames.pressed(10.0)
    assert frames.waits(OLD, 10.0)
    frames.hasten()
    assert not frames.waits(NEW, 10.0)
    frames.drawn()
    assert frames.due(20.0) is None
