"""What drivers scan and type, as the code of a gun: every form, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.charging.codes import (
    MAX_CODE_LENGTH,
    AnotherOperatorsGun,
    CodeForms,
    UnreadableGunCode,
    link_hosts,
    read_gun_code,
    vendor_links,
)
from chargehub.settings import GUN_LINKS
from chargehub.stations.labels import label_url

PUBLIC_URL = "https://hub.example"
VENDOR = r"^https?://pile\.example/q/(?P<operator>\w+)/(?P<code>[^/?#]+)"
HOSTS = link_hosts("Any.example pile.example")
FORMS = CodeForms(PUBLIC_URL, "MA0123456", vendor_links(f"{GUN_LINKS} {VENDOR}"), HOSTS)


@pytest.mark.parametrize(
    ("scanned", "code"),
    [
        ("A101", "A101"),
        ("a101", "a101"),  # Compared without case where it is looked up.
        ("  7KQ2 M9XA\n", "7KQ2M9XA"),
        ("Ａ１０１", "A101"),
        ("７ｋｑ２－Ｍ９ＸＡ", "7kq2-M9XA"),
        ("QZ\u2013001\u22121", "QZ-001-1"),
        ("\ufeff\u200bA101\u200b", "A101"),
        ("A101\u3000号枪", "A101"),
        ("枪号：A101", "A101"),
        ("No. A101", "A101"),
        ("#A101", "A101"),
        (label_url(PUBLIC_URL, "7KQ2M9XA"), "7KQ2M9XA"),
        ("HTTPS://HUB.EXAMPLE/c/7KQ2M9XA", "7KQ2M9XA"),
        ("HTTPS://HUB.EXAMPLE/C/7KQ2M9XA", "7KQ2M9XA"),  # As a QR code of capitals has it.
        ("https://hub.example./c/7KQ2M9XA", "7KQ2M9XA"),
        ("https://hub.example/charge?connectorId=A101", "A101"),
        ("https://any.example/c/A101", "A101"),
        ("http://hub.example:8443/c/7KQ2M9XA/?from=wechat#top", "7KQ2M9XA"),
        ("ｈｔｔｐｓ：／／hub.example/c/7KQ2M9XA", "7KQ2M9XA"),
        ("https://hub.example/c/QZ%2D001", "QZ-001"),
        ("hlht://7KQ2M9XA.MA0123456/", "7KQ2M9XA"),
        ("HLHT://7kq2m9xa.ma0123456/0000", "7kq2m9xa"),
        ("hlht://7KQ2M9XA.MA0123456", "7KQ2M9XA"),
        ("hlht:// 7KQ2M9XA . MA0123456 /", "7KQ2M9XA"),
        ("https://any.example/charge?x=1&connectorId=A101&y=2", "A101"),
        ("https://any.example/charge?CONNECTORID=A101", "A101"),
        ("https://any.example/?gunCode=A101#x", "A101"),
        ("https://pile.example/q/MA0123456/A101?v=3", "A101"),
    ],
)
def test_every_form_is_read(scanned: str, code: str) -> None:
    assert read_gun_code(scanned, FORMS) == code


@pytest.mark.parametrize(
    "scanned",
    [
        "hlht://7KQ2M9XA.395815801/",
        "hlht://7KQ2.M9XA.395815801/x",
        "https://pile.example/q/395815801/A101",
    ],
)
def test_another_operators_gun_is_called_so(scanned: str) -> None:
    with pytest.raises(AnotherOperatorsGun) as refused:
        read_gun_code(scanned, FORMS)
    assert refused.value.facts == {"operator_id": "395815801"}


@pytest.mark.parametrize(
    "scanned",
    [
        *("", " ", "\u200b", "#", "abc", "A" * 33, "A101!", "枪", "A101'; --", "A1\u00001\ud800"),
        *("hlht://", "hlht://A101/", "hlht://.MA0123456/", "hlht://A101./", "hlht://!.MA0123456/"),
        "https://hub.example/d/A101",
        "https://hub.example/c/",
        "https://hub.example/c/A1/x",
        "https://hub.example.evil.example/c/A101",
        "https://evil.example/c/A101",
        "https://[::1/c/A101",
        "https://any.example/?connectorId=!",
        "weixin://wxpay/bizpayurl?pr=A101",
        "https://any.example/" + "x" * MAX_CODE_LENGTH + "?connectorId=A101",
    ],
)
def test_what_is_no_gun_code_is_refused(scanned: str) -> None:
    with pytest.raises(UnreadableGunCode):
        read_gun_code(scanned, FORMS)


def test_without_an_organisation_code_no_hlht_text_is_ours() -> None:
    with pytest.raises(
        AnotherOperatorsGun, match=r"MA0123456.*no organisation code .CHARGEHUB_OPERATOR_ID.*number"
    ) as no:
        read_gun_code("hlht://A101.MA0123456/", CodeForms(PUBLIC_URL))
    assert no.value.facts == {"operator_id": "MA0123456"}


@pytest.mark.parametrize(
    "scanned",
    [
        "https://evil.example/charge?connectorId=A101",
        "HTTPS://EVIL.EXAMPLE/c/A101",
        "https://hub.example@evil.example/?gunCode=A101",
        "https://evil.example/?x=https://hub.example/c/A101&gunCode=A101",
    ],
)
def test_a_link_to_another_host_is_not_ours_and_is_told_what_is(scanned: str) -> None:
    for forms in (FORMS, CodeForms(PUBLIC_URL, "", vendor_links(GUN_LINKS))):
        with pytest.raises(UnreadableGunCode) as refused:
            read_gun_code(scanned, forms)
        assert "evil.example" in refused.value.detail
        assert "https://hub.example/c/CODE" in refused.value.detail
        assert "hub.example" in refused.value.facts["allowed_hosts"]


def test_a_page_below_a_path_has_its_labels_there() -> None:
    forms = CodeForms("https://hub.example/app/")
    assert read_gun_code(label_url(forms.public_url, "A101"), forms) == "A101"
    with pytest.raises(UnreadableGunCode):
        read_gun_code("https://hub.example/c/A101", forms)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(scanned: str) -> None:
    for text in (scanned, f"hlht://{scanned}", f"https://hub.example/c/{scanned}"):
        try:
            code = read_gun_code(text, FORMS)
        except (UnreadableGunCode, AnotherOperatorsGun):
            continue
        assert code.isascii()
        assert 4 <= len(code) <= 32
