"""What staff give as a reason is kept, and read by drivers: nothing personal stays in it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from chargehub.bays.api import Reason as BayReason
from chargehub.drivers.account_fields import MaskedText
from chargehub.drivers.credentials.reviews_api import Looking, Reason
from chargehub.reservations.api import StaffCancellation
from chargehub.reservations.queue.api import Removal

SAID = "Driver 13900001234 of 浙HD12388, 330802199001011234, asked"
KEPT = "Driver 139****1234 of 浙H·****88, ****1234, asked"


class AtBay(BaseModel):
    reason: BayReason


class Plain(BaseModel):
    reason: MaskedText


@pytest.mark.parametrize("body", [StaffCancellation, Removal, Reason, Looking, AtBay, Plain])
def test_phones_plates_and_id_numbers_are_masked(body: type[BaseModel]) -> None:
    assert body.model_validate({"reason": SAID}).model_dump()["reason"] == KEPT
    assert body.model_validate({"reason": "工单 1234"}).model_dump()["reason"] == "工单 1234"


@pytest.mark.parametrize("body", [StaffCancellation, Removal, Reason, AtBay])
def test_a_reason_has_to_be_given(body: type[BaseModel]) -> None:
    with pytest.raises(ValidationError):
        body.model_validate({"reason": "  "})
    assert body.model_json_schema()["properties"]["reason"]["minLength"] >= 1
