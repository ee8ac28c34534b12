"""Whether bytes are one whole JPEG, PNG or WebP, and nothing else. Pure.

A file's first bytes prove nothing: what comes from a phone is shown to staff, so its structure is
walked through from the first byte to the last. A PNG's pixels are unpacked and counted; of a JPEG
and a WebP the parts and the size of the picture are read, the pixels are left to the browser that
shows it. What has anything behind the picture (a ZIP, a script) is refused. Formats: ISO/IEC 15948
(PNG), ITU-T T.81 annex B (JPEG), the WebP container of RFC 9649.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MIN_SIDE, MAX_SIDE = 16, 12_000
MAX_PIXELS = 50_000_000
"""Of a phone's photo; more would only fill the memory of who looks at it."""
_PNG = b"\x89PNG\r\n\x1a\n"
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_LAST_PASS = (0, 1, 1, 2)
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_UNPACKED = 65_536
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers that say how large the picture is."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_END, _SCAN = 0xD9, 0xDA


class NoImage(ValueError):
    """Says in a sentence what is wrong."""


def image_type(data: bytes) -> str | None:
    """Return the media type that the first bytes promise, None for none of ours."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(_PNG):
        return "image/png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def check_image(data: bytes, media_type: str) -> None:
    """Raise NoImage unless it is a whole picture of this type, of a sensible size, and no more."""
    try:
        width, height = _READERS[media_type](data)
    except (IndexError, struct.error, zlib.error):
        raise NoImage("The image is damaged or cut off: take or save it anew.") from None
    _check_size(width, height)


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise NoImage(f"The image is {width} by {height} pixels: nothing can be read on it.")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise NoImage(
            f"The image is {width} by {height} pixels: {MAX_SIDE} a side and "
            f"{MAX_PIXELS // 1_000_000} million in all are the most."
        )


def _damaged() -> NoImage:
    return NoImage("The image is damaged or cut off: take or save it anew.")


def _check_nothing_behind(rest: bytes) -> None:
    if rest.strip(b"\x00"):  # Some cameras fill up with zeros.
        raise NoImage("There is more in the file than the picture: save it anew as a plain image.")


# PNG --------------------------------------------------------------------------------------------


def _read_png(data: bytes) -> tuple[int, int]:
    at, packed, header = len(_PNG), [], b""
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (check,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != check or (not header) != (kind == b"IHDR"):
            raise _damaged()
        at += 12 + length
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND":
            break
    _check_nothing_behind(data[at:])
    width, height, depth, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlaced > 1:
        raise _damaged()
    _check_size(width, height)  # Before anything is unpacked.
    bits = depth * _SAMPLES[colour]
    passes = (*_ADAM7, _LAST_PASS) if interlaced else ((0, 0, 1, 1),)
    expected = sum(_bytes_of(width, height, bits, one) for one in passes)
    if _unpacked(packed, expected) != expected:
        raise _damaged()
    return width, height


def _bytes_of(width: int, height: int, bits: int, one: tuple[int, int, int, int]) -> int:
    """Return how long a pass's lines are, each with its filter's byte."""
    left, top, across, down = one
    columns = max(0, -(-(width - left) // across))
    lines = max(0, -(-(height - top) // down))
    return lines * (1 + -(-columns * bits // 8)) if columns else 0


def _unpacked(packed: list[bytes], most: int) -> int:
    """Return how much it is unpacked, in little memory; more than `most` is not looked at."""
    unpacking, total = zlib.decompressobj(), 0
    for part in packed:
        left = part
        while left and total <= most:
            total += len(unpacking.decompress(left, _UNPACKED))
            left = unpacking.unconsumed_tail
    while total <= most and (rest := unpacking.decompress(b"", _UNPACKED)):
        total += len(rest)
    if not unpacking.eof or unpacking.unused_data:
        raise _damaged()
    return total


# JPEG -------------------------------------------------------------------------------------------


def _read_jpeg(data: bytes) -> tuple[int, int]:
    size, scans = None, 0
    for marker, at, end in _segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 1)
            size = size or (width, height)
        elif marker == _SCAN:
            scans += 1
        elif marker == _END:
            _check_nothing_behind(data[end:])
    if size is None or not scans:
        raise _damaged()
    return size


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the markers behind the first with where their bodies begin and end, the last too."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise _damaged()
        while data[at] == 0xFF:  # Any number of them may come before a marker.
            at += 1
        marker, at = data[at], at + 1
        if marker == _END:
            yield marker, at, at
            return
        if marker in _ALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise _damaged()
        yield marker, at + 2, at + length
        at += length
        if marker == _SCAN:
            at = _behind_scan(data, at)


def _behind_scan(data: bytes, at: int) -> int:
    """Return where the marker after a scan's data begins: not a stuffed FF, nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise _damaged()
        if data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at


# WebP -------------------------------------------------------------------------------------------


def _read_webp(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise _damaged()
    _check_nothing_behind(data[length + 8 :])
    at, size = 12, None
    while at < length + 8:
        kind, inner = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + inner]
        if len(body) < inner:
            raise _damaged()
        if kind in {b"VP8 ", b"VP8L"}:
            size = _vp8_size(body) if kind == b"VP8 " else _vp8l_size(body)
        at += 8 + inner + inner % 2
    if size is None:  # Moving ones have theirs in frames: no photo of a document moves.
        raise _damaged()
    return size


def _vp8_size(body: bytes) -> tuple[int, int]:
    if body[0] & 1 or body[3:6] != b"\x9d\x01\x2a":
        raise _damaged()
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _vp8l_size(body: bytes) -> tuple[int, int]:
    if body[0] != 0x2F:
        raise _damaged()
    (bits,) = struct.unpack_from("<I", body, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


_READERS = {"image/png": _read_png, "image/jpeg": _read_jpeg, "image/webp": _read_webp}
