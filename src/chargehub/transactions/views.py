"""How the API shows transactions: the response models, built from query rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.paging import Page
from chargehub.kit.secrets import redacted, shown_token
from chargehub.telemetry.views import flag_names


class LiveValues(BaseModel):
    """The newest reported values of an active transaction."""

    sampled_at: datetime
    power_w: int | None = Field(examples=[98500])
    energy_wh: int | None = Field(examples=[12400])
    soc_percent: float | None = Field(examples=[57.0])


class TransactionView(BaseModel):
    id: int = Field(examples=[1042])
    ref: str = Field(description="What the station calls it.", examples=["1042"])
    station_identity: str = Field(examples=["CS001"])
    location_id: str = Field(examples=["QZ-HUB"])
    evse_no: int | None = Field(description="Null until the station tells.", examples=[1])
    connector_no: int | None
    id_token: str | None = Field(
        description="As entered here; one that never was, as presented.", examples=["0476AB12"]
    )
    id_token_kind: str | None = Field(
        description="As the station told it, else as entered.", examples=["ISO14443"]
    )
    group_id_token: str | None
    authorization_status: str | None = Field(examples=["Accepted"])
    state: Literal["Active", "Ended"]
    charging_state: str | None = Field(examples=["Charging"])
    started_at: datetime
    ended_at: datetime | None = Field(
        description="Never before `started_at`: where the station's clock says so, as long after it"
        " as the hub saw it take, with the flag CLOCK_SKEW. What the clock said is in the events."
    )
    begin_register_wh: int | None = Field(description="As reported.", examples=[10469900])
    end_register_wh: int | None = Field(description="As reported.", examples=[None])
    energy_wh: int | None = Field(
        description="Corrected; of an active transaction the newest known.", examples=[12400]
    )
    flags: list[str] = Field(description="Why it deserves a second look.", examples=[["GAP"]])
    settled_at: datetime | None = Field(
        description="When the energy was last recomputed from the stored samples. Null of an ended"
        " transaction: its energy is provisional, for about a minute."
    )
    stopped_reason: str | None = Field(examples=[None])
    offline: bool = Field(description="Something of it happened while the station was offline.")
    live: LiveValues | None = Field(description="Null when ended or nothing was sampled yet.")


class TransactionPage(Page[TransactionView]):
    pass


class TransactionDetail(TransactionView):
    received_at: datetime
    end_received_at: datetime | None
    stop_id_token: str | None
    remote_start_id: int | None
    reservation_id: int | None
    first_seq_no: int | None
    last_seq_no: int | None
    messages_pending: bool | None = Field(
        description="Of one with gaps: true while its station may hold more messages of it."
    )


class TransactionEventView(BaseModel):
    id: int
    kind: str = Field(examples=["Started"])
    at: datetime = Field(description="The station's own time.")
    received_at: datetime
    seq_no: int | None
    trigger: str | None = Field(examples=["CablePluggedIn"])
    charging_state: str | None
    offline: bool
    flags: list[str]
    raw: dict[str, Any] | None = Field(
        description="The message, kept when a flag is set; else what of it has no field."
    )


class TransactionEventPage(Page[TransactionEventView]):
    pass


class StartResult(BaseModel):
    command_id: UUID
    remote_start_id: int = Field(description="Found on the transaction when it begins.")
    status: str | None = Field(
        description="The station's own word. Accepted is not yet started.", examples=["Accepted"]
    )
    payload: dict[str, Any] = Field(examples=[{"status": "Accepted"}])


def live_values(row: Row[Any] | None) -> LiveValues | None:
    if row is None:
        return None
    return LiveValues(
        sampled_at=row.sampled_at,
        power_w=row.power_w,
        energy_wh=row.energy_wh,
        soc_percent=row.soc_percent,
    )


def transaction_view(row: Row[Any], latest: Row[Any] | None) -> TransactionView:
    live = live_values(latest) if row.state == "Active" else None
    return TransactionView(
        id=row.id,
        ref=row.ref,
        station_identity=row.identity,
        location_id=row.location_id,
        evse_no=row.evse_no,
        connector_no=row.connector_no,
        id_token=shown_token(
            row.id_token_display or row.id_token_presented or row.id_token, _kind_of(row)
        ),
        id_token_kind=_kind_of(row),
        group_id_token=row.group_id_token,
        authorization_status=row.authorization_status,
        state=row.state,
        charging_state=row.charging_state,
        started_at=row.started_at,
        ended_at=row.ended_at,
        begin_register_wh=row.begin_register_wh,
        end_register_wh=row.end_register_wh,
        energy_wh=live.energy_wh if live and live.energy_wh is not None else row.energy_wh,
        flags=flag_names(row.flags),
        settled_at=row.settled_at,
        stopped_reason=row.stopped_reason,
        offline=row.offline,
        live=live,
    )


def transaction_detail(row: Row[Any], latest: Row[Any] | None) -> TransactionDetail:
    return TransactionDetail(
        **transaction_view(row, latest).model_dump(),
        received_at=row.received_at,
        end_received_at=row.end_received_at,
        stop_id_token=_shown_stop_token(row),
        remote_start_id=row.remote_start_id,
        reservation_id=row.reservation_id,
        first_seq_no=row.first_seq_no,
        last_seq_no=row.last_seq_no,
        messages_pending=row.messages_pending,
    )


def event_view(row: Row[Any]) -> TransactionEventView:
    return TransactionEventView(
        id=row.id,
        kind=row.kind,
        at=row.at,
        received_at=row.received_at,
        seq_no=row.seq_no,
        trigger=row.trigger,
        charging_state=row.charging_state,
        offline=row.offline,
        flags=flag_names(row.flags),
        raw=redacted(row.raw),
    )


def _shown_stop_token(row: Row[Any]) -> str | None:
    """A stop has no kind of its own: a token that equals a hidden one is hidden too."""
    token: str | None = row.stop_id_token
    if token is not None and row.id_token is not None and token.lower() == row.id_token:
        return shown_token(row.id_token_display or token, _kind_of(row))
    return token


def _kind_of(row: Row[Any]) -> str | None:
    """Return the kind of its idToken: a protocol that names none leaves it to what was entered."""
    kind: str | None = row.id_token_kind or row.entered_kind
    return kind
