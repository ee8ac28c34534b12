"""The versions we speak, each with its translator: the one list to extend."""

from __future__ import annotations

from collections.abc import Mapping

from chargehub.gateway import translate_v16, translate_v21, translate_v201
from chargehub.gateway.translation import Translator
from chargehub.ocpp import OcppVersion

TRANSLATORS: Mapping[OcppVersion, Translator] = {
    OcppVersion.V16: translate_v16.TRANSLATOR,
    OcppVersion.V201: translate_v201.TRANSLATOR,
    OcppVersion.V21: translate_v21.TRANSLATOR,
}
