"""The set statements of the transaction batches: what is written, and in which order."""

from __future__ import annotations

from chargehub.kit.group_commit import BatchStatement
from chargehub.telemetry.readings import Flag

RELEASE_BEGIN = BatchStatement(
    "transactions.release_begin",
    # Its station has ended it, so it has the answer to its start: the same words begin another.
    """
    UPDATE transactions t SET begin_key = NULL FROM unnest(%s::bigint[]) AS u(id) WHERE t.id = u.id
    """,
    order=5,
)

RELEASE_REF = BatchStatement(
    "transactions.release_ref",
    # Some stations count or seed their transactionIds anew at every boot: an id that begins again
    # after its end names another transaction.
    """
    UPDATE transactions t SET ref = t.ref || '~' || t.id
    FROM unnest(%s::bigint[]) AS u(id) WHERE t.id = u.id
    """,
    order=5,
)

INSERT_TRANSACTION = BatchStatement(
    "transactions.insert",
    """
    INSERT INTO transactions (id, station_id, ref, begin_key, evse_no, connector_no, id_token,
        id_token_kind, group_id_token, authorization_status, state, charging_state, started_at,
        received_at, begin_register_wh, previous_register_wh, max_power_w, flags, offline,
        remote_start_id, reservation_id, id_token_presented)
    SELECT id, station_id, ref, begin_key, evse_no, connector_no, id_token,
        id_token_kind, group_id_token, authorization_status, 'Active', charging_state, started_at,
        received_at, begin_register_wh, previous_register_wh, max_power_w, flags, offline,
        remote_start_id, reservation_id, id_token_presented
    FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::smallint[],
                %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::integer[],
                %s::integer[], %s::boolean[], %s::integer[], %s::integer[], %s::text[])
         AS u(id, station_id, ref, begin_key, evse_no, connector_no, id_token, id_token_kind,
              group_id_token, authorization_status, charging_state, started_at, received_at,
              begin_register_wh, previous_register_wh, max_power_w, flags, offline,
              remote_start_id, reservation_id, id_token_presented)
    """,
    order=10,
)

AMEND_TRANSACTION = BatchStatement(
    "transactions.amend",
    # Facts that may arrive on any event fill what is empty (E01.FR.13/16, F02.FR.01/21); a token
    # presented later replaces one that was not accepted.
    """
    UPDATE transactions t SET
        evse_no = coalesce(t.evse_no, u.evse_no),
        connector_no = coalesce(t.connector_no, u.connector_no),
        id_token = coalesce(u.id_token, t.id_token),
        id_token_presented = coalesce(u.id_token_presented, t.id_token_presented),
        id_token_kind = coalesce(u.id_token_kind, t.id_token_kind),
        group_id_token = coalesce(u.group_id_token, t.group_id_token),
        authorization_status = coalesce(u.authorization_status, t.authorization_status),
        charging_state = coalesce(u.charging_state, t.charging_state),
        begin_register_wh = coalesce(t.begin_register_wh, u.begin_register_wh),
        started_at = least(t.started_at, u.started_at),
        offline = t.offline OR u.offline,
        remote_start_id = coalesce(t.remote_start_id, u.remote_start_id),
        reservation_id = coalesce(t.reservation_id, u.reservation_id),
        flags = t.flags | u.flags,
        max_power_w = coalesce(u.max_power_w, t.max_power_w),
        previous_register_wh = coalesce(u.previous_register_wh, t.previous_register_wh)
    FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::text[], %s::text[], %s::text[],
                %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::boolean[],
                %s::integer[], %s::integer[], %s::integer[], %s::integer[], %s::bigint[],
                %s::text[])
         AS u(id, evse_no, connector_no, id_token, id_token_kind, group_id_token,
              authorization_status, charging_state, begin_register_wh, started_at, offline,
              remote_start_id, reservation_id, flags, max_power_w, previous_register_wh,
              id_token_presented)
    WHERE t.id = u.id
    """,
    order=20,
)

END_TRANSACTION = BatchStatement(
    "transactions.end",
    # The station's first word on the end holds; it replaces an end that was only our policy's.
    # An end before the begin is a clock that was set back: then it took as long as we saw it take.
    # What the clock said stays in the event.
    f"""
    UPDATE transactions t SET
        state = 'Ended', charging_state = NULL,
        ended_at = CASE WHEN u.ended_at >= t.started_at THEN u.ended_at
            ELSE t.started_at + greatest(u.end_received_at - t.received_at, interval '0') END,
        end_received_at = u.end_received_at, end_register_wh = u.end_register_wh,
        energy_wh = coalesce(u.energy_wh, t.energy_wh), stopped_reason = u.stopped_reason,
        stop_id_token = u.stop_id_token, settled_at = NULL,
        flags = t.flags | u.flags
            | CASE WHEN u.ended_at < t.started_at THEN {int(Flag.CLOCK_SKEW)} ELSE 0 END
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::bigint[],
                %s::text[], %s::text[], %s::integer[])
         AS u(id, ended_at, end_received_at, end_register_wh, energy_wh, stopped_reason,
              stop_id_token, flags)
    WHERE t.id = u.id AND (t.state = 'Active' OR t.end_received_at IS NULL)
    """,  # noqa: S608  The flag is ours.
    order=30,
)

INSERT_EVENT = BatchStatement(
    "transaction_events.insert",
    """
    INSERT INTO transaction_events (transaction_id, kind, at, received_at, seq_no, trigger,
        charging_state, offline, flags, raw, content_hash)
    SELECT transaction_id, kind, at, received_at, seq_no, trigger, charging_state, offline, flags,
        raw::jsonb, content_hash
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[],
                %s::text[], %s::text[], %s::boolean[], %s::integer[], %s::text[], %s::bigint[])
         AS u(transaction_id, kind, at, received_at, seq_no, trigger, charging_state, offline,
              flags, raw, content_hash)
    ON CONFLICT DO NOTHING
    """,
    order=40,
)

LINK_REMOTE_START = BatchStatement(
    "station_commands.link_by_id",
    """
    UPDATE station_commands c SET transaction_id = u.transaction_id,
        -- It began after all, later than we waited.
        status = CASE c.status WHEN 'NotStarted' THEN 'Accepted' ELSE c.status END
    FROM unnest(%s::bigint[], %s::integer[], %s::bigint[])
         AS u(station_id, remote_start_id, transaction_id)
    WHERE c.station_id = u.station_id AND c.remote_start_id = u.remote_start_id
      AND c.transaction_id IS NULL
    """,
    order=70,
)

LINK_REMOTE_START_BY_TOKEN = BatchStatement(
    "station_commands.link_by_token",
    # A protocol without remoteStartId: the newest start of this token that was not refused and
    # waits, at this EVSE or at any. The transaction may begin before the answer comes.
    """
    UPDATE station_commands c SET transaction_id = u.transaction_id,
        status = CASE c.status WHEN 'NotStarted' THEN 'Accepted' ELSE c.status END
    FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::timestamptz[], %s::bigint[])
         AS u(station_id, id_token, evse_no, since, transaction_id)
    WHERE c.id = (
        SELECT w.id FROM station_commands w
        WHERE w.station_id = u.station_id AND w.remote_start_id IS NOT NULL
          AND w.transaction_id IS NULL AND lower(w.id_token) = u.id_token
          AND (w.evse_no IS NULL OR w.evse_no = u.evse_no) AND w.requested_at >= u.since
          AND coalesce(w.status, '') <> 'Rejected' AND w.outcome NOT IN ('failed', 'offline')
        ORDER BY w.requested_at DESC LIMIT 1)
    """,
    order=70,
)

SCHEDULE_SETTLEMENT = BatchStatement(
    "due_actions.schedule_settlement",
    # Waits for the next late sample, but not past `until`, or a trickle would put it off for ever.
    # Always moves, if by a microsecond: settling under way may not have seen this one's samples.
    """
    INSERT INTO due_actions AS d (kind, subject, due_at, payload)
    SELECT DISTINCT ON (kind, subject) kind, subject, due_at,
        jsonb_build_object('until', until)
    FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
         AS u(kind, subject, due_at, until)
    ORDER BY kind, subject, due_at DESC
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = greatest(
        least(EXCLUDED.due_at, (d.payload->>'until')::timestamptz),
        d.due_at + interval '1 microsecond')
    """,
    order=80,
)
"""Columns: kind, subject, due_at, until."""
