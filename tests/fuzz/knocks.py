"""What may arrive at the port before and beside OCPP: bytes, half requests, odd handshakes, frames.

Each says what may be answered where a standard says so; the rest must only end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.fuzz.wire import KEY, frame
from tests.hub_fixtures import PASSWORD, V16, V21, V201

REFUSED = frozenset({400, 401, 404, 405, 408, 413, 414, 426, 431, 501, 505})
LIMIT = 256 * 1024
"""The greatest frame that the stage takes."""


class Knock(NamedTuple):
    data: bytes
    statuses: frozenset[int]
    """HTTP statuses that are right; 0 is no answer at all."""
    hangs: bool = False
    """It leaves the request open: the hub must end it."""


def request(
    headers: list[tuple[str, str]],
    path: str = "/ocpp/CS-900001",
    method: str = "GET",
    version: str = "1.1",
) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode("utf-8", "surrogateescape")


def good_headers(
    identity: str = "CS-900001", *, secret: bytes = PASSWORD.encode()
) -> list[tuple[str, str]]:
    basic = base64.b64encode(identity.encode() + b":" + secret).decode()
    return [
        ("Host", "hub"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Protocol", V16),
        ("Authorization", f"Basic {basic}"),
    ]


def knock(rng: Random) -> Knock:
    return rng.choice(_KNOCKS)(rng)


# --- Not even a handshake -------------------------------------------------------------------------


def random_bytes(rng: Random) -> Knock:
    data = rng.randbytes(rng.randint(1, 2_000))
    return Knock(data, REFUSED | {0}, hangs=True)


def other_protocol(rng: Random) -> Knock:
    data = rng.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(120),
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x00" * 500,
            b"\r\n" * 200,
            b"QUIT\n",
            b'[2,"1","Heartbeat",{}]',
            b"x" * 20_000,
        )
    )
    return Knock(data, REFUSED | {0}, hangs=True)


def half_request(rng: Random) -> Knock:
    data = request(good_headers())
    return Knock(data[: rng.randrange(1, len(data) - 1)], frozenset({0}), hangs=True)


def request_line(rng: Random) -> Knock:
    method = rng.choice(("POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get", "", "G\x00T"))
    version = "1.1"
    if rng.random() < 0.4:
        method, version = "GET", rng.choice(("1.0", "2.0", "0.9", "1.1 x", "", "9" * 50))
    return Knock(request(good_headers(), method=method, version=version), REFUSED | {0}, hangs=True)


# --- A path that names nobody ---------------------------------------------------------------------

PATHS = (
    "/",
    "/ocpp",
    "/ocpp/",
    "/ocpp//",
    "/ocppCS-900001",
    "/ocpp/CS-900001/more",
    "/ocpp/CS-900001%00",
    "/ocpp/CS-900001%0d%0aX:%20y",
    "/ocpp/%",
    "/ocpp/%zz",
    "/ocpp/%f",
    "/ocpp/%ff%fe",
    "/ocpp/%ed%a0%80",
    "/ocpp/%c0%af",
    "/ocpp/..%2f..%2fetc%2fpasswd",
    "/ocpp/../ocpp/CS-2:x",
    "/ocpp/CS-900001%2500",
    "/ocpp/CS-900001:x",
    "/ocpp/CS-99999999999999999999x",
    "/ocpp/" + "x" * 49,
    "/ocpp/" + "%41" * 2_000,
    "/ocpp/cs-²",
    "/OCPP/CS-900001",
    "http://hub/ocpp/CS-900001",
    "//ocpp/CS-900001",
    "*",
    "/ocpp/衢州",
    "/ocpp/%F0%9F%94%8C",
)


def lost_path(rng: Random) -> Knock:
    path = rng.choice(PATHS)
    # What is no ASCII is no HTTP.
    return Knock(request(good_headers(), path), frozenset({404} if path.isascii() else {0, 400}))


def endless_path(_rng: Random) -> Knock:
    return Knock(request(good_headers(), "/ocpp/" + "x" * 20_000), REFUSED | {0})


# --- Credentials ----------------------------------------------------------------------------------

AUTHORIZATIONS = (
    "",
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic Q1MtMTp",
    "Basic " + "QUFB" * 1_500,
    "Basic " + base64.b64encode(b"CS-900001").decode(),
    "Basic " + base64.b64encode(b":").decode(),
    "Basic " + base64.b64encode(b"CS-900001:").decode(),
    "Basic " + base64.b64encode(b"CS-900001:\xff\xfe\x00").decode(),
    "Basic " + base64.b64encode(b"CS-2:" + PASSWORD.encode()).decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:" + PASSWORD.encode()).decode(),
    "Basic " + base64.b64encode(b"CS-900001:" + PASSWORD.encode() + b"\x00").decode(),
    "Basic 衢州",
    "Bearer " + PASSWORD,
    'Digest username="CS-900001"',
    "Negotiate",
    PASSWORD,
)


def bad_credentials(rng: Random) -> Knock:
    headers = [pair for pair in good_headers() if pair[0] != "Authorization"]
    if rng.random() < 0.9:
        headers.append(("Authorization", rng.choice(AUTHORIZATIONS)))
    return Knock(request(headers), frozenset({401, 400}))


def two_credentials(_rng: Random) -> Knock:
    """Which of the two counts nobody can say."""
    return Knock(request([*good_headers(), good_headers()[-1]]), frozenset({401, 400}))


# --- The handshake itself -------------------------------------------------------------------------

# A header, what it is replaced by (None: it is missing), the statuses of RFC 6455 4.2 and 4.4.
REPLACED: tuple[tuple[str, str | None, frozenset[int]], ...] = (
    ("Upgrade", None, frozenset({426, 400})),
    ("Upgrade", "h2c", frozenset({426, 400})),
    ("Upgrade", "websocket, h2c", frozenset({426, 400})),
    ("Connection", None, frozenset({426, 400})),
    ("Connection", "close", frozenset({426, 400})),
    ("Sec-WebSocket-Version", None, frozenset({426, 400})),
    ("Sec-WebSocket-Version", "12", frozenset({426, 400})),
    ("Sec-WebSocket-Version", "13, 13", frozenset({426, 400})),
    ("Sec-WebSocket-Version", "-13", frozenset({426, 400})),
    ("Sec-WebSocket-Key", None, frozenset({400})),
    ("Sec-WebSocket-Key", "", frozenset({400})),
    ("Sec-WebSocket-Key", "short", frozenset({400})),
    ("Sec-WebSocket-Key", "A" * 4_000, frozenset({400})),
    ("Sec-WebSocket-Key", "!" * 24, frozenset({400})),
    ("Sec-WebSocket-Protocol", None, frozenset({400})),
    ("Sec-WebSocket-Protocol", "", frozenset({400})),
    ("Sec-WebSocket-Protocol", ",,,", frozenset({400})),
    ("Sec-WebSocket-Protocol", "ocpp 1.6", frozenset({400})),
    ("Sec-WebSocket-Protocol", "衢州", frozenset({400})),
    ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=99", frozenset({101})),
    ("Sec-WebSocket-Extensions", "=;=;", frozenset({400})),
    # 101 without one, then closed (statement 2).
    ("Sec-WebSocket-Protocol", "mqtt", frozenset({101})),
    ("Sec-WebSocket-Protocol", "x" * 4_000, frozenset({101})),
    ("Sec-WebSocket-Protocol", ", ".join(f"p{n}" for n in range(900)), frozenset({101})),
    ("Sec-WebSocket-Protocol", f"{V21},{V201}", frozenset({101})),
)
DOUBLED = ("Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key")


def odd_header(rng: Random) -> Knock:
    name, value, statuses = rng.choice(REPLACED)
    headers = [pair for pair in good_headers() if pair[0] != name]
    if value is not None:
        headers.insert(rng.randrange(len(headers) + 1), (name, value))
    return Knock(request(headers), statuses)


def doubled_header(rng: Random) -> Knock:
    headers = good_headers()
    name = rng.choice(DOUBLED)
    again = next(pair for pair in headers if pair[0] == name)
    # Two lines of one list are that list (RFC 9110 5.3); of a single value they are an error.
    right = frozenset({101, 400, 426}) if name in {"Upgrade", "Connection"} else {400, 426}
    return Knock(request([*headers, again]), frozenset(right))


def header_flood(rng: Random) -> Knock:
    extra = rng.choice(
        (
            [(f"X-{n}", "y") for n in range(2_000)],
            [("X", "y" * 60_000)],
            [("X" * 60_000, "y")],
            [("Cookie", "a=b; " * 5_000)],
        )
    )
    return Knock(request([*good_headers(), *extra]), REFUSED | {0})


def broken_header(rng: Random) -> Knock:
    line = rng.choice(
        (
            "no colon",
            ": no name",
            "na me: x",
            "X:\x00",
            " folded: x",
            "X: \x01\x02",
            "Authorization: Basic \x7f",
            "é: x",
            "X:a\rb",
        )
    )
    head, _, _ = request(good_headers()).partition(b"\r\n\r\n")
    data = head + b"\r\n" + line.encode("latin-1") + b"\r\n\r\n"
    return Knock(data, REFUSED | {0})


def body_too(rng: Random) -> Knock:
    """A GET with a body has no place in a handshake (RFC 6455 4.1)."""
    extra = rng.choice(
        (("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Content-Length", "-1"))
    )
    return Knock(request([*good_headers(), extra]) + b"hello", REFUSED | {0})


_KNOCKS: tuple[Callable[[Random], Knock], ...] = (
    random_bytes,
    other_protocol,
    half_request,
    request_line,
    lost_path,
    lost_path,
    endless_path,
    bad_credentials,
    bad_credentials,
    two_credentials,
    odd_header,
    odd_header,
    odd_header,
    doubled_header,
    header_flood,
    broken_header,
    body_too,
)


# --- Frames that are none -------------------------------------------------------------------------

TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
BEAT = b'[2,"beat","Heartbeat",{}]'


def head(length: int, wide: int) -> bytes:
    """Begin a masked text that says it is so long."""
    mark = 126 if wide == 2 else 127
    return bytes([0x81, 0x80 | mark]) + length.to_bytes(wide, "big") + bytes(4)


# Bytes after the handshake, and the close codes that are right (RFC 6455 5, 7.4); 1006: no frame.
BROKEN_FRAMES: dict[str, tuple[bytes, frozenset[int]]] = {
    "unmasked": (frame(TEXT, BEAT, masked=False), frozenset({1002})),
    **{
        f"rsv {bits:#x}": (frame(TEXT, BEAT, bits=bits), frozenset({1002}))
        for bits in (64, 32, 16, 112)
    },
    **{
        f"opcode {opcode}": (frame(opcode, b""), frozenset({1002}))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "fragmented ping": (frame(PING, b"", fin=False), frozenset({1002})),
    "fragmented close": (frame(CLOSE, b"", fin=False), frozenset({1002})),
    "long ping": (frame(PING, b"x" * 126), frozenset({1002})),
    "long close": (frame(CLOSE, b"\x03\xe8" + b"x" * 126), frozenset({1002})),
    "continued nothing": (frame(CONTINUED, b"x"), frozenset({1002})),
    "text within text": (frame(TEXT, b"[2", fin=False) + frame(TEXT, BEAT), frozenset({1002})),
    "binary within text": (frame(TEXT, b"[2", fin=False) + frame(BINARY, b"x"), frozenset({1002})),
    "no UTF-8": (frame(TEXT, b"\xff\xfe"), frozenset({1007})),
    "surrogate": (frame(TEXT, b'["\xed\xa0\x80"]'), frozenset({1007})),
    "half a character": (frame(TEXT, b'["\xe8\xa1'), frozenset({1007})),
    "no UTF-8 in pieces": (
        frame(TEXT, b'["', fin=False)
        + frame(CONTINUED, b"\xff", fin=False)
        + frame(CONTINUED, b'"]'),
        frozenset({1007}),
    ),
    "too long": (frame(TEXT, b"x" * (LIMIT + 1)), frozenset({1009})),
    "too long as it says": (head(LIMIT + 1, 8), frozenset({1009})),
    "of 2^63": (head(2**63, 8), frozenset({1002, 1009})),
    "of 2^64-1": (head(2**64 - 1, 8), frozenset({1002, 1009})),
    "too long in pieces": (
        frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONTINUED, b"x" * 10),
        frozenset({1009}),
    ),
    "close of one byte": (frame(CLOSE, b"\x03"), frozenset({1002})),
    **{
        f"close {code}": (frame(CLOSE, code.to_bytes(2, "big")), frozenset({1002}))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2_999, 5_000, 65_535)
    },
    "close without UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xfe"), frozenset({1002, 1007})),
    "good close": (frame(CLOSE, b"\x03\xe8bye"), frozenset({1000})),
    "empty close": (frame(CLOSE, b""), frozenset({1000, 1005})),
    "own close code": (frame(CLOSE, (4_000).to_bytes(2, "big")), frozenset({4_000, 1000})),
}


def noise(rng: Random) -> bytes:
    """Frames of any kind one after another, then bytes of none."""
    whole = (
        frame(TEXT, BEAT),
        frame(PING, rng.randbytes(rng.randint(0, 125))),
        frame(PONG, b"nobody asked"),
        frame(TEXT, BEAT[:9], fin=False) + frame(PING, b"") + frame(CONTINUED, BEAT[9:]),
        frame(BINARY, rng.randbytes(50)),
        frame(TEXT, b"", fin=False) + frame(CONTINUED, b"", fin=False) * 50,
        head(5, 8) + b"hello",
    )
    parts = rng.choices(whole, k=rng.randint(0, 6))
    broken = rng.choice([data for data, _ in BROKEN_FRAMES.values()])
    parts.append(rng.choice((broken, rng.randbytes(rng.randint(0, 300)), b"")))
    return b"".join(parts)
