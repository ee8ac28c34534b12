"""The ring: what a viewer at any cursor gets, and that it never grows."""

from __future__ import annotations

import pytest

from chargehub.live.frames import FrameRing

BOTH = frozenset({"board", "power"})


def ring_of(frames: int, **sizes: int) -> FrameRing:
    ring = FrameRing("e", **sizes)
    for number in range(1, frames + 1):
        ring.append(b'"t"', {"board": b"%d" % number})
    return ring


def ids(text: bytes | None) -> list[int]:
    assert text is not None
    return [int(line.rpartition(b"-")[2]) for line in text.split(b"\n") if line.startswith(b"id: ")]


def test_up_to_the_join_limit_a_viewer_gets_the_missed_frames_joined() -> None:
    ring = ring_of(100)
    assert ring.since(100, BOTH) == b""
    assert ids(ring.since(99, BOTH)) == [100]
    assert ids(ring.since(75, BOTH)) == list(range(76, 101))
    assert ring.since(74, BOTH) is None


def test_off_the_ring_or_from_the_future_a_viewer_needs_a_snapshot() -> None:
    ring = ring_of(100, size=10)
    assert len(ring) == 10
    assert ids(ring.since(90, BOTH)) == list(range(91, 101))
    assert ring.since(89, BOTH) is None
    assert ring.since(101, BOTH) is None
    assert ring.since(None, BOTH) is None


def test_the_ring_never_holds_more_than_its_size() -> None:
    assert len(ring_of(10_000)) == 600


def test_breaking_off_outdates_every_cursor() -> None:
    ring = ring_of(5)
    ring.break_off()
    assert all(ring.since(cursor, BOTH) is None for cursor in range(6))
    assert ring.since(ring.seq, BOTH) == b""
    ring.append(b'"t"', {"board": b"1"})
    assert ring.since(5, BOTH) is None
    assert ids(ring.since(6, BOTH)) == [7]


@pytest.mark.parametrize(
    ("event_id", "cursor"),
    [
        ("e-7", 7),
        ("e-0", 0),
        (None, None),
        ("", None),
        ("7", None),
        ("f-7", None),
        ("e-", None),
        ("e--7", None),
        ("e-x", None),
        ("e-1.5", None),
        ("e-\u0661", None),  # An Arabic digit one: str.isdigit says yes.
        ("e-" + "9" * 16, None),
    ],
)
def test_only_an_id_of_this_epoch_is_a_cursor(event_id: str | None, cursor: int | None) -> None:
    assert FrameRing("e").cursor(event_id) == cursor


def test_a_frame_shows_only_the_topics_asked_for() -> None:
    ring = FrameRing("e")
    ring.append(b'"t"', {"board": b"{}", "power": b"[]"})
    ring.append(b'"t"', {"board": b"{}"})
    assert ring.since(0, frozenset({"power"})) == b'id: e-1\ndata: {"at":"t","power":[]}\n\n'
    assert ring.since(1, frozenset({"power"})) == b""
    assert ring.since(1, BOTH) == b'id: e-2\ndata: {"at":"t","board":{}}\n\n'


def test_viewers_share_one_encoded_text() -> None:
    ring = ring_of(3)
    assert ring.since(2, BOTH) is ring.since(2, frozenset(BOTH))
