"""Roles, passwords and the login guard."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from chargehub.access.passwords import Passwords
from chargehub.access.rules import LoginGuard, Role, WeakPassword, check_password


def test_roles_include_the_lower_ones() -> None:
    assert [role for role in Role if role.includes(Role.VIEWER)] == [
        Role.ADMIN,
        Role.OPERATOR,
        Role.VIEWER,
    ]
    assert [role for role in Role if role.includes(Role.OPERATOR)] == [Role.ADMIN, Role.OPERATOR]
    assert [role for role in Role if role.includes(Role.ADMIN)] == [Role.ADMIN]


def test_the_suites_role_stands_apart() -> None:
    assert [role for role in Role if role.includes(Role.CONFORMANCE)] == [Role.CONFORMANCE]
    assert [role for role in Role if Role.CONFORMANCE.includes(role)] == [Role.CONFORMANCE]


@pytest.mark.parametrize("password", ["", "nine char", "x" * 201, "WANG.FANG.LI"])
def test_weak_passwords(password: str) -> None:
    with pytest.raises(WeakPassword):
        check_password("wang.fang.li", password)


def test_acceptable_password() -> None:
    check_password("wang.fang.li", "ten chars!")


async def test_password_spelled_with_combining_characters_is_the_same() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    stored = await passwords.hash("Zwölf Gläser")
    assert await passwords.verify(stored, "Zwo\u0308lf Gla\u0308ser")
    assert not await passwords.verify(stored, "Zwolf Glaser")
    assert not await passwords.verify(None, "the password of nobody")
    assert not await passwords.verify("not a hash", "Zwölf Gläser")
    assert not passwords.is_outdated(stored)
    assert Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)).is_outdated(stored)


def waits(guard: LoginGuard, count: int, *, login: str = "a", address: str = "1") -> list[float]:
    return [guard.begin(login, address, 0.0) for _ in range(count)]


def test_guard_locks_longer_and_longer() -> None:
    guard = LoginGuard(free_failures=3, first_lock_s=30, longest_lock_s=100)
    assert waits(guard, 5) == [0, 0, 0, 30, 30]
    assert guard.begin("A", "1", 29.0) == 1
    assert guard.begin("a", "1", 31.0) == 0
    assert guard.begin("a", "1", 31.0) == 60
    assert guard.begin("a", "1", 92.0) == 0
    assert guard.begin("a", "1", 92.0) == 100


def test_guard_forgets_after_success_and_knows_addresses_apart() -> None:
    guard = LoginGuard(free_failures=2)
    assert waits(guard, 3)[-1] > 0
    assert waits(guard, 1, address="2") == [0]
    guard.succeeded("a", "2")
    assert waits(guard, 2, address="2") == [0, 0]
    guard.succeeded("a", "1")
    assert waits(guard, 1) == [0]


def test_one_address_can_neither_spray_logins_nor_flush_the_table() -> None:
    guard = LoginGuard(max_keys=100, free_failures_per_address=20)
    tried = sum(guard.begin(f"login{number}", "1", 0.0) == 0 for number in range(1000))
    assert tried == 20
    assert len(guard) <= 100
    guard.succeeded("login1", "1")
    assert guard.begin("another", "1", 0.0) > 0


def test_guard_table_is_bounded() -> None:
    guard = LoginGuard(max_keys=100)
    for number in range(1000):
        guard.begin("a", str(number), 0.0)
    assert len(guard) == 100


def test_a_site_of_ipv6_is_one_address_to_the_guard() -> None:
    guard = LoginGuard(free_failures=2)
    assert waits(guard, 3, address="2001:db8:0:1::1")[-1] > 0
    assert waits(guard, 1, address="2001:db8:0:1::2")[0] > 0
    assert waits(guard, 1, address="2001:db8:0:2::1") == [0]
