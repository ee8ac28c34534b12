"""A station's socket as the WebSocket library gives it, with a short way for whole messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import State

from chargehub.gateway.doorway import Place

UNREAD_MAX_BYTES = 1 << 20
"""What a station may leave unread and go on pinging; its messages are stopped long before."""
_SHORT_HEADS = [bytes((0x81, size)) for size in range(126)]
"""A whole unmasked text by its size in bytes (RFC 6455 5.2)."""


class StationSocket(ServerConnection):
    """A server connection that can hand over whole messages at once, and knows its last sign.

    While `direct` is set, a text message goes there from the network's own callback; through the
    queue of `recv` each would cost a task switch. What is fragmented or binary takes the queue, and
    then so does everything behind it, until the queue's reader sets `direct` again.
    """

    place: Place
    """Held until the handshake is done."""
    admitted: Any = None
    last_heard: float = 0.0
    """Of anything at all, pings and pongs included."""
    direct: Callable[[str, float], None] | None = None
    """Takes a text and the loop's time at which it came."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.place.leave()
        super().connection_lost(exc)

    def process_event(self, event: Any) -> None:
        self.last_heard = now = self.loop.time()
        if self.direct is not None and isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if event.opcode is Opcode.TEXT and event.fin:
                try:
                    text = str(event.data, "utf-8")
                except UnicodeDecodeError:
                    pass  # The queue's reader fails the connection as RFC 6455 8.1 wants.
                else:
                    self.direct(text, now)
                    return
            self.direct = None
        super().process_event(event)
        # The library answers each ping at once, whether anybody reads that or not.
        if self.paused and self.transport.get_write_buffer_size() > UNREAD_MAX_BYTES:
            self.transport.abort()

    def send_at_once(self, text: str) -> None:
        """Send a whole text without waiting; what a closing socket no longer takes is dropped.

        Its buffer may grow by this one text, so ask `paused` before.
        """
        if self.protocol.state is not State.OPEN:
            return
        data = text.encode()
        try:
            if len(data) < len(_SHORT_HEADS) and not self.protocol.extensions:
                # Most answers: the library would take longer to frame it than to write it.
                self.transport.write(_SHORT_HEADS[len(data)] + data)
            else:
                self.protocol.send_text(data)
                self.send_data()
        except (OSError, RuntimeError) as error:
            # As the library does where it answers by itself: the connection fails.
            self.set_connection_exc(error)

    @property
    def queued(self) -> bool:
        """True while messages wait for `recv`."""
        return len(self.recv_messages.frames) > 0
