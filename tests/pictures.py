"""Small pictures as phones send them, with a text inside, and what is wrong with others."""

from __future__ import annotations

import struct
import zlib


def png(
    inside: bytes = b"", width: int = 16, height: int = 16, *, pixels: bytes | None = None
) -> bytes:
    """Return a grey PNG; `inside` stands in a text chunk, `pixels` are its lines as they are."""
    lines = bytes(height * (1 + width)) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"tEXt", inside), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def jpeg(inside: bytes = b"", width: int = 16, height: int = 16) -> bytes:
    """Return what has a JPEG's structure; `inside` stands in a comment."""
    frame = struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)
    scan = bytes((1, 1, 0, 0, 63, 0))
    parts = ((0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), (0xFE, inside), (0xC0, frame), (0xDA, scan))
    marked = b"".join(struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in parts)
    return b"\xff\xd8" + marked + b"\x12\xff\x00\x34\xff\xd0\x56" + b"\xff\xd9"


def webp(inside: bytes = b"", width: int = 16, height: int = 16) -> bytes:
    """Return what has a WebP's structure; `inside` stands in a chunk of its own."""
    size = struct.pack("<I", (width - 1) | (height - 1) << 14)
    chunks = b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for kind, body in ((b"VP8L", b"\x2f" + size + b"\x07\x10\x11"), (b"note", inside))
    )
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
