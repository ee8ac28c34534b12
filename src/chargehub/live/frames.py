"""The ring of encoded frames that every viewer reads from; a viewer is only a cursor. Pure.

Owns frame numbers, the text of an event stream, and the answer to "what does a viewer at N miss".
What the frames say is the board's matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

Topics = frozenset[str]


@dataclass(frozen=True, slots=True)
class Frame:
    """One flush: JSON per topic, encoded once and shared by all viewers."""

    event_id: str
    at: bytes
    parts: Mapping[str, bytes]
    _texts: dict[Topics, bytes] = field(default_factory=dict)

    def text(self, topics: Topics) -> bytes:
        """Return the frame as these topics see it; empty when none of them changed."""
        text = self._texts.get(topics)
        if text is None:
            chosen = {topic: self.parts[topic] for topic in sorted(topics & self.parts.keys())}
            text = event_text(self.event_id, None, self.at, chosen) if chosen else b""
            self._texts[topics] = text
        return text


class FrameRing:
    """The newest `size` frames. `size` bounds memory; `join` bounds what one write carries."""

    def __init__(self, epoch: str, *, size: int = 600, join: int = 25) -> None:
        self.epoch = epoch
        self.seq = 0
        self._join = join
        self._frames: deque[Frame] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, at: bytes, parts: Mapping[str, bytes]) -> None:
        self.seq += 1
        self._frames.append(Frame(self.event_id, at, parts))

    def break_off(self) -> None:
        """Make every cursor outdated: the frames so far no longer lead to the present state."""
        self.seq += 1
        self._frames.clear()

    @property
    def event_id(self) -> str:
        return f"{self.epoch}-{self.seq}"

    def cursor(self, event_id: str | None) -> int | None:
        """Read a Last-Event-ID; None when it is missing, garbled or of another epoch."""
        epoch, _, seq = (event_id or "").rpartition("-")
        if epoch != self.epoch or not seq.isascii() or not seq.isdigit() or len(seq) > 15:
            return None
        return int(seq)

    def since(self, cursor: int | None, topics: Topics) -> bytes | None:
        """Return what a viewer at `cursor` misses (perhaps nothing), or None: send a snapshot."""
        if cursor is None:
            return None
        behind = self.seq - cursor
        if behind == 0:
            return b""
        if not 0 < behind <= min(self._join, len(self._frames)):
            return None
        if behind == 1:
            return self._frames[-1].text(topics)
        return b"".join(self._frames[index].text(topics) for index in range(-behind, 0))


def event_text(event_id: str, event: str | None, at: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Write one event of the stream; `at` and the parts are JSON on one line."""
    name = b"" if event is None else b"event: " + event.encode() + b"\n"
    members = b"".join(b',"' + topic.encode() + b'":' + part for topic, part in parts.items())
    return b'id: %s\n%sdata: {"at":%s%s}\n\n' % (event_id.encode(), name, at, members)
