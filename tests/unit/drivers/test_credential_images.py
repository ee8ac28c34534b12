"""What is one whole picture and nothing else: the walk through JPEG, PNG and WebP."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.drivers.credentials.images import MAX_SIDE, NoImage, check_image, image_type
from tests.pictures import jpeg, png, webp

BOARD = Path(__file__).resolve().parents[3] / "docs" / "images" / "board.png"
Picture = Callable[..., bytes]
PICTURES: list[Picture] = [png, jpeg, webp]


def refused(data: bytes) -> str:
    kind = image_type(data)
    assert kind is not None
    with pytest.raises(NoImage) as error:
        check_image(data, kind)
    return str(error.value)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_whole_picture_is_taken(picture: Picture) -> None:
    for data in (picture(b"a text"), picture(b"odd"), picture() + b"\0" * 3):
        check_image(data, image_type(data) or "")


def test_a_real_screenshot_is_taken() -> None:
    check_image(BOARD.read_bytes(), "image/png")


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_that_is_cut_off_is_refused(picture: Picture) -> None:
    data = picture(b"a text")
    for length in range(12, len(data)):
        assert "damaged or cut off" in refused(data[:length]), length


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("more", [b"PK\x03\x04a ZIP", b"<script>", b"%PDF-1.7", b"\0\0\1"])
def test_what_has_more_than_a_picture_in_it_is_refused(picture: Picture, more: bytes) -> None:
    assert "more in the file" in refused(picture() + more)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff<html><script>alert(1)</script>",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG\r\n\x1a\n<svg/>",
        b"RIFF\x04\x00\x00\x00WEBP",
        png().replace(b"IDAT", b"iDAT"),
        png(pixels=bytes(16 * 17 - 1)),
        png(pixels=bytes(16 * 17 + 1)),
        png(b"a text").replace(b"a text", b"b text"),
        jpeg().replace(b"\xff\xc0", b"\xff\xe1"),
        jpeg().replace(b"\xff\xda", b"\xff\xe2"),
        webp().replace(b"VP8L", b"VP8M"),
        webp().replace(b"\x2f", b"\x2e"),
    ],
)
def test_what_only_begins_like_a_picture_is_refused(data: bytes) -> None:
    assert "damaged or cut off" in refused(data)


@pytest.mark.parametrize("picture", PICTURES)
def test_sizes_are_sensible(picture: Picture) -> None:
    assert "nothing can be read" in refused(picture(b"", 15, 400))
    assert "the most" in refused(picture(b"", MAX_SIDE + 1, 16))


def test_a_bomb_is_not_unpacked() -> None:
    """50 million pixels are told, or few are and a million lines come."""
    huge = png(pixels=b"").replace(struct.pack(">II", 16, 16), struct.pack(">II", 30_000, 30_000))
    assert "damaged" in refused(huge)  # Its check sum is that of the small one.
    assert "damaged" in refused(png(pixels=bytes(30_000_000)))


@given(st.binary(max_size=200), st.sampled_from([png(), jpeg(), webp()]), st.integers(0, 200))
def test_any_bytes_are_taken_or_refused(noise: bytes, picture: bytes, at: int) -> None:
    data = picture[:at] + noise + picture[at + len(noise) :]
    kind = image_type(data)
    if kind is not None:
        with suppress(NoImage):  # And nothing else.
            check_image(data, kind)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", None),
        (b"GIF89a", None),
        (b"%PDF-1.7", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_an_image_is_known_by_its_first_bytes(data: bytes, media_type: str | None) -> None:
    assert image_type(data) == media_type
