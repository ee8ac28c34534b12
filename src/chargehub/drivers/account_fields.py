"""Field types of drivers' personal data in the API: normalised, or refused in a sentence."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from chargehub.drivers.account_rules import (
    PHONE_SAID,
    PLATE_SAID,
    VIN_SAID,
    mask_personal_within,
    normalise_phone,
    normalise_plate,
    normalise_vin,
    says_personal,
)
from chargehub.kit.fields import ShortText, clean_text, explained

Phone = Annotated[
    str,
    StringConstraints(max_length=24),
    AfterValidator(normalise_phone),
    explained(PHONE_SAID),
    Field(examples=["13900001234"]),
]
Plate = Annotated[
    str,
    StringConstraints(max_length=20),
    AfterValidator(normalise_plate),
    explained(PLATE_SAID),
    Field(examples=["浙HD12345"]),
]
Vin = Annotated[
    str,
    StringConstraints(max_length=30),
    AfterValidator(normalise_vin),
    explained(VIN_SAID),
    Field(examples=["LSVAA4187C2184841"]),
]
OneTimeCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{6}$"),
    explained("A code is six digits."),
    Field(examples=["123456"]),
]
DeviceToken = Annotated[
    str,
    StringConstraints(max_length=100),
    AfterValidator(clean_text),
    Field(
        description="What the last login by this phone on this device answered. With it, codes "
        "that strangers ask for and guess at do not count against this device.",
        examples=[""],
    ),
]
PLAIN_SAID = "No phone, plate or ID number here: give the card to its driver instead."


def _nothing_personal(text: str) -> str:
    if says_personal(text):
        raise ValueError(PLAIN_SAID)
    return text


PlainText = Annotated[ShortText, AfterValidator(_nothing_personal), explained(PLAIN_SAID)]
"""A label that everybody may read: who is a person is said by the account it belongs to."""
MaskedText = Annotated[ShortText, AfterValidator(mask_personal_within)]
"""Why staff did something: kept, and often read by the driver, so nothing personal stands in it."""
Language = Literal["zh", "en"]


class ConnectorStandard(StrEnum):
    """What the vehicle's inlet takes; words of OCPI where it has them."""

    GBT_DC = "GBT_DC"
    GBT_AC = "GBT_AC"
    CHAOJI = "CHAOJI"
    CHADEMO = "CHADEMO"
    CCS1 = "IEC_62196_T1_COMBO"
    CCS2 = "IEC_62196_T2_COMBO"
    TYPE_1 = "IEC_62196_T1"
    TYPE_2 = "IEC_62196_T2"
    TESLA = "TESLA_S"


class DriverKind(StrEnum):
    """What a driver says to drive; what is proved of it is a matter of credentials."""

    TAXI = "taxi"
    RIDE_HAILING = "ride_hailing"
    PRIVATE = "private"
    LOGISTICS = "logistics"
    BUS = "bus"
    OTHER = "other"


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")
