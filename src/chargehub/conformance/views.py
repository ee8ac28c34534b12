"""The shapes of the test adapter: bodies as the suites write them, and its answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chargehub.devices.views import MAX_ITEMS
from chargehub.drivers.api import ID_TEXT_PATTERN, IdTokenKind
from chargehub.kit.fields import CleanText
from chargehub.stations.commands import VariableName, VariableWrite
from chargehub.stations.commissioning_api import Credential, Profile
from chargehub.stations.credential_change import ValidCredentials
from chargehub.stations.rules import IDENTITY_PATTERN
from chargehub.transactions.views import TransactionDetail

Name = Annotated[CleanText, Field(min_length=1, max_length=50)]
EvseNo = Annotated[int, Field(ge=0, le=32_767)]
Items = Annotated[int, Field(ge=1, le=2**31 - 1)]
IdText = Annotated[str, StringConstraints(pattern=ID_TEXT_PATTERN)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TokenInput(Input):
    token_id: IdText = Field(examples=["100000C06"])
    status: Literal["Accepted", "Blocked", "Expired"] = "Accepted"
    group: IdText | None = Field(None, examples=["GROUP001"])
    kind: IdTokenKind = IdTokenKind.ISO14443


class PasswordInput(Input):
    station_id: Annotated[str, StringConstraints(pattern=IDENTITY_PATTERN)] = Field(
        examples=["CP201"]
    )
    password: Credential


class PendingInput(Input):
    pending: bool = Field(True, description="What the next boot is answered; false: Accepted.")
    rejected: bool = Field(False, description="Rejected instead of Pending.")


class ProfileInput(Input):
    security_profile: Profile


class LimitsInput(Input):
    """Items that the station takes in a request, as if it had reported them."""

    get_variables: Items | None = None
    set_variables: Items | None = None
    get_report: Items | None = None

    def variables(self) -> dict[VariableName, str]:
        kinds = {
            "GetVariables": self.get_variables,
            "SetVariables": self.set_variables,
            "GetReport": self.get_report,
        }
        return {
            VariableName("DeviceDataCtrlr", "ItemsPerMessage", variable_instance=kind): str(items)
            for kind, items in kinds.items()
            if items is not None
        }


class Evse(Input):
    id: EvseNo
    connectorId: EvseNo | None = None  # noqa: N815  Names of OCPP.


class Component(Input):
    name: Name
    instance: Name | None = None
    evse: Evse | None = None


class VariablePart(Input):
    name: Name
    instance: Name | None = None


class VariableItem(Input):
    component: Component
    variable: VariablePart
    attributeType: Name = "Actual"  # noqa: N815  As above.

    def named(self) -> VariableName:
        evse = self.component.evse
        return VariableName(
            self.component.name,
            self.variable.name,
            component_instance=self.component.instance,
            evse_no=evse.id if evse else None,
            connector_no=evse.connectorId if evse else None,
            variable_instance=self.variable.instance,
            attribute=self.attributeType,
        )


class WriteItem(VariableItem):
    attributeValue: Annotated[CleanText, Field(max_length=2500)]  # noqa: N815  As above.

    def write(self) -> VariableWrite:
        return VariableWrite(self.named(), self.attributeValue)


class ReadInput(Input):
    getVariableData: Annotated[list[VariableItem], Field(min_length=1, max_length=MAX_ITEMS)]  # noqa: N815  As above.


class WriteInput(Input):
    setVariableData: Annotated[list[WriteItem], Field(min_length=1, max_length=MAX_ITEMS)]  # noqa: N815  As above.


class Done(BaseModel):
    ok: Literal[True] = True


class RawResult(BaseModel):
    """What the station answered: a CALLRESULT, or a CALLERROR."""

    command_id: UUID
    outcome: Literal["result", "error"]
    status: str | None = Field(description="Its status word, where there is one.")
    payload: dict[str, Any] = Field(description="Of a CALLRESULT, without secrets.")
    error_code: str | None = None
    error_description: str | None = None


class PasswordResult(BaseModel):
    status: str | None = Field(description="The station's own word.")
    valid_credentials: ValidCredentials


class LatestTransaction(BaseModel):
    transaction: TransactionDetail | None = Field(description="Null: the station never had one.")
