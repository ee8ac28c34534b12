"""REST of staff: the queue of credentials, their images, decisions, and taxi companies' files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from chargehub.access.principal import GUARDS, Operator, operator
from chargehub.drivers.account_fields import MaskedText
from chargehub.drivers.credentials.api import IMAGE_TYPES, Day, Service
from chargehub.drivers.credentials.import_file import ImportUnreadable
from chargehub.drivers.credentials.imports import CredentialImports
from chargehub.drivers.credentials.queries import find_credential, read_reviews
from chargehub.drivers.credentials.rules import (
    CredentialKind,
    CredentialStatus,
    UnusableDates,
    Validity,
)
from chargehub.drivers.credentials.service import CredentialDecided, ReasonNeeded
from chargehub.drivers.credentials.views import (
    CredentialImportReport,
    ReviewPage,
    ReviewView,
    import_report,
    review_view,
)
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import ShortText
from chargehub.kit.http import (
    API_PREFIX,
    OTHER_CHARSETS,
    UnsupportedMediaType,
    problems,
    provided,
)
from chargehub.kit.paging import (
    InvalidCursor,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)

router = APIRouter(prefix=API_PREFIX, tags=["Credential reviews"])

Imports = Annotated[CredentialImports, Depends(provided(CredentialImports))]
IMPORTS_PATH = f"{API_PREFIX}/credential-imports"
OTHER_CHARSETS.add(IMPORTS_PATH)
CSV_EXAMPLE = (
    "phone,kind,number,valid_to,name\n"
    "13800138000,taxi_qualification,33080219900307718X,2029-05-31,李明\n"
)


class ReviewQuery(PageQuery):
    status: CredentialStatus = CredentialStatus.PENDING
    kind: CredentialKind | None = None
    driver_id: UUID | None = None


class Approval(BaseModel):
    """What the reviewer read on the document, where it differs or was not entered."""

    model_config = ConfigDict(extra="forbid")

    issuer: ShortText | None = Field(None, examples=["衢州市道路运输管理局"])
    issued_on: Day | None = None
    valid_from: Day | None = None
    valid_to: Day | None = Field(None, description="Needed where the driver entered none.")


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[MaskedText, Field(min_length=1)] = Field(
        description="The driver reads it.", examples=["照片看不清"]
    )


class Looking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: MaskedText = Field(
        "",
        description="Goes to the audit trail; needed once the credential is decided.",
        examples=["工单 1234"],
    )


@router.get(
    "/credential-reviews",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_credential_reviews(
    service: Service, query: Annotated[ReviewQuery, Query()]
) -> ReviewPage:
    """List credentials of all drivers by status, the longest waiting first."""
    after = decode_cursor("credential-reviews", query.cursor, datetime, UUID)
    async with service.database.read() as connection:
        rows = await read_reviews(
            connection,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            status=query.status.value,
            kind=query.kind,
            driver_id=query.driver_id,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("credential-reviews", row.created_at, row.id)
    )
    today = service.today()
    return ReviewPage(items=[review_view(row, today) for row in page], next_cursor=following)


@router.get(
    "/credential-reviews/{credential_id}",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound),
)
async def get_credential_review(credential_id: UUID, service: Service) -> ReviewView:
    """Return one credential as the staff see it."""
    async with service.database.read() as connection:
        row = await find_credential(connection, credential_id)
    return review_view(row, service.today())


@router.post(
    "/credential-reviews/{credential_id}/image",
    response_class=Response,
    responses={
        200: {
            "description": "The image",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}, "example": ""}
                for media_type in IMAGE_TYPES
            },
        },
        **problems(*GUARDS, NotFound, ReasonNeeded),
    },
)
async def view_credential_image(
    credential_id: UUID,
    principal: Operator,
    service: Service,
    body: Annotated[Looking | None, Body(examples=[{}])] = None,
) -> Response:
    """Return the photo of a credential; that it was looked at goes to the audit trail.

    A POST: it writes, and what is said of a person has no place in addresses, which get logged.
    """
    media_type, image = await service.view_image(
        credential_id, actor=principal.login, reason=body.reason if body else ""
    )
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(image, media_type=media_type, headers=headers)


@router.post(
    "/credential-reviews/{credential_id}/approve",
    responses=problems(*GUARDS, NotFound, CredentialDecided, UnusableDates),
)
async def approve_credential(
    credential_id: UUID,
    principal: Operator,
    service: Service,
    body: Annotated[Approval | None, Body(examples=[{}])] = None,
) -> ReviewView:
    """Approve a pending credential; from now on benefits and prices count it."""
    read = body or Approval()
    row = await service.approve(
        credential_id,
        actor=principal.login,
        issuer=read.issuer,
        dates=Validity(read.issued_on, read.valid_from, read.valid_to),
    )
    return review_view(row, service.today())


@router.post(
    "/credential-reviews/{credential_id}/refuse",
    responses=problems(*GUARDS, NotFound, CredentialDecided),
)
async def refuse_credential(
    credential_id: UUID, body: Reason, principal: Operator, service: Service
) -> ReviewView:
    """Refuse a pending credential and tell the driver why."""
    row = await service.refuse(credential_id, actor=principal.login, reason=body.reason)
    return review_view(row, service.today())


@router.post(
    "/credential-reviews/{credential_id}/revoke",
    responses=problems(*GUARDS, NotFound, CredentialDecided),
)
async def revoke_credential(
    credential_id: UUID, body: Reason, principal: Operator, service: Service
) -> ReviewView:
    """Take an approval back and tell the driver why, as when a company says that they left."""
    row = await service.revoke(credential_id, actor=principal.login, reason=body.reason)
    return review_view(row, service.today())


@router.post(
    "/credential-imports",
    responses=problems(*GUARDS, ImportUnreadable, UnsupportedMediaType),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE}},
        }
    },
)
async def import_credentials(
    request: Request, principal: Operator, imports: Imports
) -> CredentialImportReport:
    """Take a taxi company's file; what became of each line is in the answer.

    Columns: phone 手机号, kind 证件类型, number 证件号, valid_to 有效期至; optional: name 姓名,
    issuer 发证机关, issued_on 发证日期, valid_from 有效期起. CSV in UTF-8 or GB18030, with commas,
    semicolons or tabs, a header line, at most 5,000 lines.
    A driver with an account is approved at once, another as soon as the phone signs up. A bad line
    holds up no other, and the same file again changes nothing.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "text/csv":
        raise UnsupportedMediaType("Send text/csv.")
    return import_report(await imports.take(await request.body(), actor=principal.login))
