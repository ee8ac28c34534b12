"""The sheet of QR labels for printing, one label a gun. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import segno

STYLE = """
@page { size: A4; margin: 10mm }
body { font-family: system-ui, "Noto Sans CJK SC", sans-serif; margin: 0; color: #000 }
main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6mm }
article { border: 1px dashed #999; padding: 4mm; text-align: center; break-inside: avoid }
svg { width: 42mm; height: 42mm }
h2 { font-size: 14pt; margin: 0; white-space: nowrap }
p { margin: 1mm 0; font-size: 9pt; overflow-wrap: anywhere }
"""


@dataclass(frozen=True, slots=True)
class Label:
    identity: str
    station_name: str
    evse_no: int
    gun_code: str


def label_url(public_url: str, gun_code: str) -> str:
    return f"{public_url.rstrip('/')}/c/{gun_code}"


def render_labels(title: str, public_url: str, labels: Sequence[Label]) -> str:
    """Return a whole HTML page; about 3 ms of work a label, so call it in a thread."""
    articles = "\n".join(_article(public_url, label) for label in labels)
    return (
        '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{articles}\n</main></body></html>\n"
    )


def _article(public_url: str, label: Label) -> str:
    url = label_url(public_url, label.gun_code)
    # Error correction Q: a quarter of the label may be scratched.
    code = segno.make(url, error="q", micro=False).svg_inline(
        border=4, title=escape(url), omitsize=True
    )
    name = f"{label.station_name} · {label.identity}" if label.station_name else label.identity
    return (
        f"<article>{code}<h2>{escape(label.gun_code)}</h2>"
        f"<p>{escape(name)} · {label.evse_no} 号枪</p><p>{escape(url)}</p></article>"
    )
