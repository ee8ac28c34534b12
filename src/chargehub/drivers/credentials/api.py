"""REST of a driver's own credentials: enter, image, list, withdraw."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from chargehub.drivers.credentials.queries import find_credential, read_credentials
from chargehub.drivers.credentials.rules import (
    MAX_NUMBER,
    CredentialKind,
    UnusableDates,
    UnusableNumber,
    Validity,
)
from chargehub.drivers.credentials.service import (
    CredentialDecided,
    CredentialNumberTaken,
    CredentialPending,
    Credentials,
    Entry,
    UnusableImage,
)
from chargehub.drivers.credentials.views import CredentialPage, CredentialView, credential_view
from chargehub.drivers.principal import DRIVER_GUARDS, AccountHolder, AccountNeeded
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, ShortText
from chargehub.kit.http import (
    API_PREFIX,
    PayloadTooLarge,
    UnsupportedMediaType,
    problems,
    provided,
)
from chargehub.kit.idempotency import ONCE, Once
from chargehub.kit.paging import (
    InvalidCursor,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)

router = APIRouter(prefix=f"{API_PREFIX}/credentials", tags=["Credentials"])

Service = Annotated[Credentials, Depends(provided(Credentials))]
GUARDS = (*DRIVER_GUARDS, AccountNeeded)
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
Day = Annotated[
    date,
    Field(ge=date(1970, 1, 1), le=date(2200, 12, 31), strict=False, examples=["2027-01-31"]),
]


class NewProfessionalCredential(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: CredentialKind = Field(
        description="`taxi_qualification` 从业资格证, `ride_hailing_licence` 网约车驾驶员证, "
        "`service_card` 服务证."
    )
    number: CleanText = Field(
        min_length=1,
        max_length=2 * MAX_NUMBER,
        description="As it is printed; spaces and dashes do not matter. Of it a keyed hash and "
        "the last four are kept.",
        examples=["33080219900307718X"],
    )
    issuer: ShortText = Field("", examples=["衢州市道路运输管理局"])
    issued_on: Day | None = None
    valid_from: Day | None = None
    valid_to: Day | None = Field(
        None, description="The last day. Left out: staff read it from the image."
    )


@router.post(
    "",
    status_code=201,
    responses=problems(
        *GUARDS,
        *ONCE,
        UnusableNumber,
        UnusableDates,
        CredentialNumberTaken,
        CredentialPending,
    ),
)
async def create_credential(
    body: NewProfessionalCredential, principal: AccountHolder, service: Service, once: Once
) -> CredentialView:
    """Enter a credential; it waits for the staff, who decide it."""
    dates = Validity(body.issued_on, body.valid_from, body.valid_to)
    entry = Entry(body.kind, body.number, body.issuer, dates)
    async with once.write(principal.driver_id) as connection:
        row = await service.submit(connection, principal.driver_id, entry)
        return once.keep(credential_view(row, service.today()))


@router.get("", responses=problems(*GUARDS, InvalidCursor))
async def list_credentials(
    principal: AccountHolder, service: Service, query: Annotated[PageQuery, Query()]
) -> CredentialPage:
    """List the driver's own credentials, the newest first."""
    after = decode_cursor("credentials", query.cursor, datetime, UUID)
    async with service.database.read() as connection:
        rows = await read_credentials(
            connection,
            principal.driver_id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("credentials", row.created_at, row.id)
    )
    today = service.today()
    return CredentialPage(
        items=[credential_view(row, today) for row in page], next_cursor=following
    )


@router.get("/{credential_id}", responses=problems(*GUARDS, NotFound))
async def get_credential(
    credential_id: UUID, principal: AccountHolder, service: Service
) -> CredentialView:
    """Return one credential of the driver's own."""
    async with service.database.read() as connection:
        row = await find_credential(connection, credential_id, driver_id=principal.driver_id)
    return credential_view(row, service.today())


@router.post(
    "/{credential_id}/withdraw", responses=problems(*GUARDS, *ONCE, NotFound, CredentialDecided)
)
async def withdraw_credential(
    credential_id: UUID, principal: AccountHolder, service: Service, once: Once
) -> CredentialView:
    """Take a credential back, and delete its image; again is the same."""
    async with once.write(principal.driver_id) as connection:
        row = await service.withdraw(connection, principal.driver_id, credential_id)
        return once.keep(credential_view(row, service.today()))


@router.put(
    "/{credential_id}/image",
    responses=problems(
        *(*GUARDS, NotFound, CredentialDecided),
        *(PayloadTooLarge, UnsupportedMediaType, UnusableImage),
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}, "example": ""}
                for media_type in IMAGE_TYPES
            },
        }
    },
)
async def put_credential_image(
    credential_id: UUID, request: Request, principal: AccountHolder, service: Service
) -> CredentialView:
    """Store the photo of a credential that waits for the staff, in place of an earlier one.

    The body is the image: JPEG, PNG or WebP, whatever its media type is said to be, whole and with
    nothing behind it. It is kept encrypted, and deleted some days after the decision.
    """
    row = await service.put_image(principal.driver_id, credential_id, await request.body())
    return credential_view(row, service.today())
