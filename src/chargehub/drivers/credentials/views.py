"""What REST tells of credentials: masked, to the driver as to the staff."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.drivers.credentials.imports import RowOutcome, RowReport
from chargehub.drivers.credentials.rules import CredentialKind, CredentialStatus, masked_number
from chargehub.kit.paging import Page


class CredentialView(BaseModel):
    id: UUID
    kind: CredentialKind
    number: str = Field(description="Masked; no more of it is kept.", examples=["****123X"])
    issuer: str = Field(examples=["衢州市道路运输管理局"])
    issued_on: date | None
    valid_from: date | None
    valid_to: date | None = Field(
        description="The last day on which it counts.", examples=["2029-05-31"]
    )
    status: CredentialStatus
    reason: str = Field(description="Why it was refused or taken back.", examples=[""])
    renews: UUID | None = Field(
        description="The approved credential of the same number that this one follows: when it is "
        "approved, or, where it begins after a gap only, when that has ended."
    )
    has_image: bool = Field(description="False too when its days are over.")
    created_at: datetime
    decided_at: datetime | None


class CredentialPage(Page[CredentialView]):
    pass


class ReviewView(CredentialView):
    driver_id: UUID
    holder: str = Field(description="Masked, as a taxi company named it.", examples=["李**"])
    source: str = Field(description="`driver` or `import`.", examples=["driver"])
    decided_by: str | None = Field(examples=["lena"])
    named_for_another_phone: bool = Field(
        description="A taxi company named this number for a phone that has no account yet."
    )


class ReviewPage(Page[ReviewView]):
    pass


class LineFault(BaseModel):
    column: str = Field(description="Empty: the whole line.", examples=["valid_to"])
    message: str = Field(examples=["Write the date as 2027-01-31."])


class ImportedLine(BaseModel):
    line: int = Field(description="In the file; the header is line 1.", examples=[2])
    outcome: RowOutcome = Field(
        description="`approved`: of a driver; `renewed`: counts longer now; `waiting`: until the "
        "phone signs up; `unchanged`: known as the file says; `refused`: see `faults`."
    )
    kind: CredentialKind | None
    number: str = Field(description="Masked; empty where unreadable.", examples=["****123X"])
    faults: list[LineFault]


class CredentialImportReport(BaseModel):
    counts: dict[RowOutcome, int] = Field(
        examples=[{"approved": 2, "renewed": 0, "waiting": 1, "unchanged": 0, "refused": 0}]
    )
    lines: list[ImportedLine] = Field(description="One for each, in the file's order.")


def _shared(row: Row[Any], today: date) -> dict[str, Any]:
    status = CredentialStatus(row.status)
    # The daily action may not have been there yet.
    ended = status is CredentialStatus.APPROVED and row.valid_to < today
    return {
        "id": row.id,
        "kind": CredentialKind(row.kind),
        "number": masked_number(row.number_tail),
        "issuer": row.issuer,
        "issued_on": row.issued_on,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "status": CredentialStatus.EXPIRED if ended else status,
        "reason": row.reason,
        "renews": row.renews,
        "has_image": row.has_image,
        "created_at": row.created_at,
        "decided_at": row.decided_at,
    }


def credential_view(row: Row[Any], today: date) -> CredentialView:
    return CredentialView(**_shared(row, today))


def review_view(row: Row[Any], today: date) -> ReviewView:
    return ReviewView(
        **_shared(row, today),
        driver_id=row.driver_id,
        holder=row.holder,
        source=row.source,
        decided_by=row.decided_by,
        named_for_another_phone=row.named_for_another_phone,
    )


def import_report(reports: list[RowReport]) -> CredentialImportReport:
    outcomes = [report.outcome for report in reports]
    return CredentialImportReport(
        counts={outcome: outcomes.count(outcome) for outcome in RowOutcome},
        lines=[
            ImportedLine(
                line=report.line,
                outcome=report.outcome,
                kind=report.kind,
                number=report.number,
                faults=[
                    LineFault(column=column, message=message) for column, message in report.faults
                ],
            )
            for report in reports
        ],
    )
