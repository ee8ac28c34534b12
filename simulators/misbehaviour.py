"""The switches that make a simulated station behave as badly as real ones do in the field.

Each was seen on the wire of an independent implementation, or is bad input a server must
survive. This file names them; the code that acts on one names its member.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Misbehaviour(Enum):
    def __init__(self, label: str, meaning: str) -> None:
        self.label = label
        self.meaning = meaning

    # The socket and its frames.
    COUNTING_IDS = "counting-ids", "message ids 1, 2, 3.. from every connection"
    CLOCK_SEEDED_IDS = "clock-seeded-ids", "ids of a generator seeded with the second of the boot"
    LOSE_ANSWERS = (
        "lose-answers",
        "ignores the first answer to every third transaction message, then repeats it (new id)",
    )
    TWO_CALLS_AT_ONCE = "two-calls-at-once", "two CALLs outstanding: a start and its status"
    MALFORMED_FRAMES = "malformed-frames", "a broken frame before every transaction message"
    DEEP_FRAMES = "deep-frames", "100,000 nested brackets before every transaction message"
    OVERSIZED_FRAMES = "oversized-frames", "a frame of 2 MB before every transaction message"
    UNKNOWN_ACTIONS = "unknown-actions", "calls CustomOperation after every status"
    SILENT_TO_CALLS = "silent-to-calls", "answers none of our calls"
    ERROR_TO_CALLS = "error-to-calls", "CALLERROR with an unknown code and text as details"
    INVALID_ANSWERS = "invalid-answers", "answers that do not match their schema"
    ANSWERS_LAST = "answers-last", "acts on a remote start before it answers it"
    FOREIGN_HEADERS = "foreign-headers", "Origin, Pragma, Cache-Control, lower-case authorization"
    COMPRESSION = "compression", "offers permessage-deflate"
    HEX_PASSWORD = "hex-password", "sends the bytes that the password, read as hex, stands for"
    FLOOD = "flood", "200 Heartbeats in a burst after every boot"

    # Boot, status and reconnecting.
    BOOT_ON_RECONNECT = "boot-on-reconnect", "BootNotification and all statuses at each reconnect"
    NO_STATUS_ON_RECONNECT = "no-status-on-reconnect", "no StatusNotification at a reconnect"
    QUEUE_BEFORE_STATUS = "queue-before-status", "replays its queue first, then the statuses"
    FORGET_QUEUE = "forget-queue", "loses what it could not deliver: nothing is replayed"
    NO_CONNECTOR_ZERO = "no-connector-zero", "never reports connector 0"
    BOOT_FAULTED = "boot-faulted", "boots as Faulted with errorCode NoError"
    NO_STATUS_TIMESTAMP = "no-status-timestamp", "omits the timestamp of statuses (1.6)"
    NO_PREPARING = "no-preparing", "neither Preparing nor Finishing (1.6)"
    HEARTBEAT_FLOOD = "heartbeat-flood", "takes HeartbeatInterval abc as 0 and floods"
    ACCEPT_ANY_SETTING = "accept-any-setting", "accepts unknown settings and bad values"

    # Transactions.
    SKIP_AUTHORIZE = "skip-authorize", "starts without Authorize (a cached token)"
    REPEAT_START = "repeat-start", "sends every start twice, with a new message id"
    DUPLICATE_STOP = "duplicate-stop", "sends every stop twice, with a new message id"
    LOSE_ENDED = "lose-ended", "never sends the end of a transaction"
    SAMPLES_AFTER_STOP = "samples-after-stop", "sends a sample of the session after its end"
    NO_STOP_REASON = "no-stop-reason", "omits the reason of a stop"
    NO_STOP_TOKEN = "no-stop-token", "omits the token of a stop"
    NEVER_STOP_REFUSED = "never-stop-refused", "a refused start is dropped and never stopped"
    MINUS_ONE_TRANSACTION = "minus-one-transaction", "transactionId -1 after the start (1.6)"
    SEQ_NO_ZERO = "seq-no-zero", "seqNo 0 in every event (2.x)"
    SEQ_NO_SKIPS = "seq-no-skips", "seqNo leaves out every fifth number (2.x)"
    NO_STARTED_TOKEN = "no-started-token", "no idToken on Started (2.x)"
    OTHER_TOKEN_TYPE = "other-token-type", "every token comes back as ISO14443 (2.x)"
    NO_OFFLINE_FLAG = "no-offline-flag", "replays without offline: true (2.x)"
    IGNORE_REMOTE_START = "ignore-remote-start", "Accepted, and then nothing starts"
    EXTRA_FIELDS = "extra-fields", "a field and an enum value that no schema knows"

    # Charging profiles.
    IGNORE_PROFILES = "ignore-profiles", "accepts charging profiles and obeys none"
    WATTS_ONLY = "watts-only", "rejects charging profiles in A, whatever it reports"
    NO_SMART_CHARGING = "no-smart-charging", "NotSupported to all of smart charging"

    # Reservations.
    NO_RESERVATIONS = "no-reservations", "NotSupported, and its configuration says so"
    UNKNOWN_RESERVATIONS = "unknown-reservations", "NotImplemented, though its configuration has it"
    FORGETS_RESERVATIONS = "forgets-reservations", "Accepted, and forgotten at the next boot"
    LATE_RESERVATIONS = "late-reservations", "holds the gun and answers ReserveNow late"

    # The meter.
    ZERO_BEGIN = "zero-begin", "the begin reading is 0, all later ones are the lifetime register"
    REGISTER_RESETS = "register-resets", "the register restarts at 0 with every session"
    REGISTER_JUMPS_BACK = "register-jumps-back", "the register restarts at 0 within a session"
    UNIT_KWH = "unit-kwh", "energy in kWh with all the digits of a float"
    UNIT_ABSENT = "unit-absent", "no unit at all: Wh is meant"
    UNIT_WRONG = "unit-wrong", "Wh numbers labelled kWh"
    PHASES_WITHOUT_TOTAL = "phases-without-total", "kWh for L1, L2 and L3 and no total"
    BARE_SAMPLES = "bare-samples", "neither context nor measurand"
    DECIMALS = "decimals", "Wh with decimals"
    SIGNED_DATA = "signed-data", "the end carries signed OCMF data"
    NEGATIVE_METER = "negative-meter", "negative energy readings"
    NAN_METER = "nan-meter", "the text NaN as a reading (1.6)"
    CONNECTOR_ZERO_SAMPLES = "connector-zero-samples", "samples of connector 0 without transaction"

    # Time.
    CLOCK_SKEW = "clock-skew", "its clock is an hour slow"
    CLOCK_OF_1970 = "clock-of-1970", "its clock starts in 1970"
    NO_TIME_ZONE = "no-time-zone", "timestamps without a zone"
    LOCAL_TIME_ZONE = "local-time-zone", "timestamps with +08:00 and nine digits of fraction"

    @classmethod
    def named(cls, label: str) -> Misbehaviour:
        for member in cls:
            if member.label == label:
                return member
        raise ValueError(f"no misbehaviour is called {label!r}")


Quirks = frozenset[Misbehaviour]
NO_QUIRKS: Quirks = frozenset()


def parse_quirks(labels: Iterable[str]) -> Quirks:
    return frozenset(Misbehaviour.named(label) for label in labels)
