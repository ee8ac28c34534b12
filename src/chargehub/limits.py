"""Every limit of the server: what may wait, how large, how many, how long. Part of the settings.

A variable is `CHARGEHUB_LIMITS__...`. Values are handed down; a metric tells when one is hit.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

OTHER_DESCRIPTORS = 500
"""API requests, files, the event loop's own."""


class Limits(BaseModel):
    """Every queue, frame, page and wait has its limit here; a metric tells when one is hit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_frame_bytes: int = Field(
        262_144, ge=4_096, le=16_777_216, description="Largest OCPP frame a station may send."
    )
    max_connections: int = Field(
        10_000, ge=1, description="Station sockets open at once; more are answered 503."
    )
    max_handshakes: int = Field(
        2_000,
        ge=1,
        description="Station handshakes under way at once on a port; more are answered 503. Twice "
        "as many connections may be on their way in; more are closed unheard.",
    )
    messages_per_s: float = Field(
        20.0, gt=0, description="Messages a station may send per second for long."
    )
    messages_burst: int = Field(
        200, ge=1, description="Messages a station may send at once (an offline queue replayed)."
    )
    message_characters: int = Field(
        4_096,
        ge=256,
        description="Characters that count as one message there; a longer message counts once for "
        "every started so many.",
    )
    messages_asked_factor: float = Field(
        10.0,
        ge=1,
        description="How many times as much a station may send while a command waits for its "
        "answer, which may stand behind all that it sent before.",
    )
    inbound_waiting: int = Field(
        64,
        ge=1,
        description="Calls of a station that may wait for their turn; then its socket is read no "
        "more.",
    )
    outbound_waiting: int = Field(
        32, ge=1, description="Commands that may wait for one station; more are refused."
    )
    commit_batch: int = Field(400, ge=1, description="Reports that share one COMMIT at most.")
    commit_waiting: int = Field(
        20_000, ge=1, description="Reports of all stations that may wait for a COMMIT."
    )
    queued_commands: int = Field(
        250,
        ge=1,
        description="Commands that may wait for one station's return; more are refused. A template "
        "has no more values.",
    )
    queued_hours: int = Field(
        24, ge=1, description="Hub hours that a command waits for its station unless told."
    )
    queued_hours_max: int = Field(
        720, ge=1, description="Hub hours that a command may wait for its station at most."
    )
    deliveries: int = Field(
        16,
        ge=1,
        description="Stations whose waiting commands are looked up at once, and due questions of "
        "one kind asked at once; a station that is silent for a second is not counted.",
    )
    station_variables: int = Field(
        20_000,
        ge=1,
        description="Variables that are kept of one station, which may make names up; what more "
        "it reports is answered and not kept.",
    )
    limit_sources: int = Field(
        8,
        ge=1,
        description="Who may limit the charging of one EVSE beside us; what more sources say is "
        "answered and not kept.",
    )
    template_stations: int = Field(
        20, ge=1, description="Stations that one configuration template is applied to at once."
    )
    template_stations_max: int = Field(
        5_000, ge=1, description="Stations that one application of a template may be for."
    )
    call_timeout_s: float = Field(
        30.0, gt=0, description="Wall seconds a station has to answer a command."
    )
    handshake_timeout_s: float = Field(
        10.0, gt=0, description="Wall seconds a station has to finish the WebSocket handshake."
    )
    ping_interval_s: float = Field(
        30.0, gt=0, description="Wall seconds between WebSocket pings to a station."
    )
    ping_timeout_s: float = Field(
        30.0, gt=0, description="Wall seconds a station has to answer a ping."
    )
    shutdown_timeout_s: float = Field(
        15.0, gt=0, description="Wall seconds that API requests under way have to finish at a stop."
    )
    frame_log_days: int = Field(
        14, ge=1, le=3_650, description="Hub days that frames stay in the frame log."
    )
    frame_log_text: int | None = Field(
        None,
        ge=256,
        description="Characters that the frame log keeps of a frame. Unset: all, so that every "
        "frame can be replayed.",
    )
    frame_log_waiting_bytes: int = Field(
        67_108_864,
        ge=1_048_576,
        description="Frames that may wait to be written; more are lost, and counted.",
    )
    request_body_bytes: int = Field(
        2_097_152, ge=1_024, description="Largest body the API takes (a CSV import)."
    )
    live_viewers: int = Field(200, ge=1, description="Live streams open at once.")
    outbox_days: int = Field(
        30, ge=1, description="Hub days that handled events stay in the outbox."
    )
    history_days: int = Field(
        400,
        ge=1,
        description="Hub days that statuses, notices and commands of stations are kept.",
    )
    audit_days: int = Field(
        1_095, ge=1, description="Hub days that the operators' audit entries are kept."
    )
    inbox_streams: int = Field(2_000, ge=1, description="Drivers' inbox streams open at once.")
    inbox_streams_of_driver: int = Field(
        5, ge=1, description="Inbox streams that one driver has open at once."
    )
    charge_streams: int = Field(
        2_000, ge=1, description="Streams of drivers' charges open at once."
    )
    charge_streams_of_driver: int = Field(
        5, ge=1, description="Such streams that one driver has open at once."
    )
    inbox_days: int = Field(
        180, ge=1, description="Hub days that messages stay in the drivers' inboxes."
    )
    idempotency_hours: int = Field(
        24,
        ge=1,
        le=720,
        description="Wall hours that a request with an Idempotency-Key is given the same answer.",
    )
    idempotency_keys: int = Field(
        1_000, ge=1, description="Such keys that are kept of one login at most."
    )
    credential_image_days: int = Field(
        30, ge=0, description="Hub days that a credential's photo is kept after the decision."
    )
    database_connections: int = Field(
        8, ge=2, le=80, description="Database connections of the pool."
    )

    @property
    def descriptors(self) -> int:
        """File descriptors that the server has open at most when all these limits are reached."""
        on_their_way = 2 * 2 * self.max_handshakes  # At two ports, see there.
        streams = self.live_viewers + self.inbox_streams + self.charge_streams
        others = streams + self.database_connections + OTHER_DESCRIPTORS
        return self.max_connections + on_their_way + others
