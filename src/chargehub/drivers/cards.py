"""Which idTokens are a driver's: staff give cards out, and take them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.accounts import APP_PREFIX, find_account
from chargehub.drivers.store import drivers, id_tokens
from chargehub.drivers.vehicle_identity import is_car_token
from chargehub.kit.errors import Conflict, NotFound


class IdTokenTaken(Conflict):
    """This idToken is another driver's."""

    code = "id-token-taken"


class TokenOfDriver(Conflict):
    """This idToken belongs to a driver: its group is the driver's, and the app token stays."""

    code = "token-of-driver"


class TokenOfCar(Conflict):
    """This idToken is a car's that starts by itself: its driver revokes that, or staff unbind."""

    code = "token-of-car"


def refuse_cars(token: str) -> None:
    """Raise TokenOfCar: what a car may do hangs on its driver's consent, on nothing else."""
    if is_car_token(token):
        raise TokenOfCar


async def read_own_tokens(connection: AsyncConnection, driver_id: UUID) -> Sequence[Row[Any]]:
    query = select(id_tokens).where(id_tokens.c.driver_id == driver_id)
    return (await connection.execute(query.order_by(id_tokens.c.token))).all()


async def group_of_owner(connection: AsyncConnection, token: str) -> str | None:
    """Return the group of the driver whose idToken it is; None: nobody's."""
    query = (
        select(drivers.c.group_token)
        .join(id_tokens, id_tokens.c.driver_id == drivers.c.id)
        .where(id_tokens.c.token == token.lower())
    )
    found: str | None = await connection.scalar(query)
    return found


async def give_card(
    connection: AsyncConnection, driver_id: UUID, token: str, kind: str, at: datetime
) -> tuple[bool, Row[Any]]:
    """Give an idToken to a driver, and make it where it is not known; return whether it was new.

    It goes into the driver's group; its kind and its restrictions stay as they were entered. What
    was blocked only as nobody's is accepted from now on; what staff blocked stays blocked.
    Raises NotFound, IdTokenTaken or TokenOfCar.
    """
    refuse_cars(token)
    driver = await find_account(connection, driver_id, lock=True)
    card = await _find_with_owner(connection, token)
    if card is None:
        row = insert(id_tokens).values(
            token=token.lower(),
            display=token,
            kind=kind,
            group_token=driver.group_token,
            driver_id=driver_id,
            driver_since=at,
        )
        return True, (await connection.execute(row.returning(id_tokens))).one()
    values: dict[str, Any] = {"driver_id": driver_id, "group_token": driver.group_token}
    if card.driver_id != driver_id:
        values["driver_since"] = at
    if card.driver_id not in {None, driver_id} and (
        card.owner_closed_at is None or card.token.startswith(APP_PREFIX)
    ):
        raise IdTokenTaken
    if card.blocked_as_nobodys:
        values |= {"status": "Accepted", "blocked_as_nobodys": False}
    row_of_card = (
        update(id_tokens).where(id_tokens.c.token == card.token).values(values).returning(id_tokens)
    )
    return False, (await connection.execute(row_of_card)).one()


async def take_card(connection: AsyncConnection, driver_id: UUID, token: str) -> Row[Any]:
    """Take a card from a driver: it is nobody's then, and blocked until it is given anew.

    The app token stays.

    Raises NotFound, TokenOfDriver or TokenOfCar.
    """
    refuse_cars(token)
    card = await _find_with_owner(connection, token)
    if card is None or card.driver_id != driver_id:
        raise NotFound("The driver has no such idToken.")
    if card.token.startswith(APP_PREFIX):
        raise TokenOfDriver
    freed = (
        update(id_tokens)
        .where(id_tokens.c.token == card.token)
        .values(driver_id=None, driver_since=None, group_token=None, **nobodys())
        .returning(id_tokens)
    )
    row: Row[Any] = (await connection.execute(freed)).one()
    return row


def nobodys() -> dict[str, Any]:
    """Return what to store of idTokens that nobody charges with from now on."""
    return {
        "holder": "",
        "status": "Blocked",
        # What is blocked already has its reason, which stays.
        "blocked_as_nobodys": or_(id_tokens.c.status != "Blocked", id_tokens.c.blocked_as_nobodys),
    }


async def _find_with_owner(connection: AsyncConnection, token: str) -> Row[Any] | None:
    query = (
        select(id_tokens, drivers.c.closed_at.label("owner_closed_at"))
        .outerjoin(drivers, drivers.c.id == id_tokens.c.driver_id)
        .where(id_tokens.c.token == token.lower())
        .with_for_update(of=id_tokens)
    )
    return (await connection.execute(query)).one_or_none()
