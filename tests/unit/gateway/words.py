"""What the gateway makes of a message, with the schema's verdict, as one version has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chargehub.gateway.translation import Context, Report, Translator
from chargehub.gateway.translators import TRANSLATORS
from chargehub.ocpp import OcppVersion, Schemas, schemas_for
from chargehub.transactions.reports import TransactionReported

NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
AT = datetime(2026, 11, 23, 7, 59, 30, tzinfo=UTC)
STAMP = "2026-11-23T07:59:30Z"
WIRE_NOW = "2026-11-23T08:00:00.123Z"

Payload = dict[str, Any]


class Words:
    def __init__(self, version: OcppVersion) -> None:
        self.version = version
        self.translator: Translator = TRANSLATORS[version]
        self.schemas: Schemas = schemas_for(version)

    def read(self, action: str, payload: Payload) -> list[Report]:
        """Read as the gateway does: `valid` says what the official schema says."""
        valid = self.schemas.check_request(action, payload) is None
        return list(self.translator.inbound[action].read(payload, Context(7, NOW, valid)))

    def event(self, payload: Payload) -> TransactionReported:
        (report,) = self.read("TransactionEvent", payload)
        assert isinstance(report, TransactionReported)
        return report

    def answer(self, action: str, *replies: object) -> Payload:
        build = self.translator.inbound[action].answer
        assert build is not None
        payload = build(replies, NOW)
        assert self.schemas.check_response(action, payload) is None
        return payload
