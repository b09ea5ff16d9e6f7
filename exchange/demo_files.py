"""The files that the demo hands over: real formats, plainly fictional content."""

import json
import secrets
import zlib

SCAN_BYTES = 25 * 1024 * 1024
"""A scanned bundle is the largest thing that case officers send every day."""

_FICTION = "FICTIONAL EXAMPLE. No real person or case is described here."


def decision_pdf() -> bytes:
    """An upheld decision, one page of text."""
    lines = (
        "The Local Government and Social Care Ombudsman's final decision",
        "",
        "Complaint reference: 24 015 493",
        "Complaint against: Birmingham City Council",
        "",
        "Summary: the Council delayed an assessment of a child's needs by eleven weeks.",
        "This was fault. It has agreed to apologise and to review how it keeps to time.",
        "",
        _FICTION,
    )
    text = "\n".join(f"({line.replace('(', '').replace(')', '')}) '" for line in lines)
    return _pdf([(b"<</Length %d>>", f"BT /F1 12 Tf 16 TL 60 780 Td {text} ET".encode("latin-1"))], page_content=0)


def case_list_csv() -> bytes:
    """A list of upheld decisions of one quarter."""
    rows = [
        "reference,authority,gss_code,decided,category,outcome",
        '24 015 493,Birmingham,E08000025,2026-09-14,"Children\'s care services > Child protection",remedy agreed',
        "24 015 611,Birmingham,E08000025,2026-09-21,Education > Special educational needs,injustice remedied",
        "24 016 002,Birmingham,E08000025,2026-10-02,Children's care services > Looked after,fault no injustice",
        f"# {_FICTION}",
    ]
    return ("\r\n".join(rows) + "\r\n").encode()


def scanned_bundle_pdf() -> bytes:
    """Twenty-five mebibytes of scanned pages: a picture that no compression makes smaller."""
    pixels = secrets.token_bytes(SCAN_BYTES)
    picture = (
        b"<</Type/XObject/Subtype/Image/Width 5120/Height 5120/ColorSpace/DeviceGray/BitsPerComponent 8/Length %d>>",
        pixels,
    )
    return _pdf([(b"<</Length %d>>", b"q 595 0 0 595 0 120 cm /Im1 Do Q"), picture], page_content=0)


def concern_json() -> bytes:
    """What Ofsted tells the Ombudsman after an inspection."""
    concern = {
        "notice": _FICTION,
        "authority": {"name": "Birmingham City Council", "gss_code": "E08000025"},
        "inspection": {"framework": "ILACS", "published": "2026-10-19"},
        "lgsco_reference": "24 015 493",
        "recommendation": "Review the procedure for assessments, so that each is finished in time.",
        "concern": "Inspectors found the procedure unchanged six months after the Council agreed to review it.",
        "compliance": "not complete",
    }
    return json.dumps(concern, indent=2).encode() + b"\n"


def _pdf(streams: list[tuple[bytes, bytes]], page_content: int) -> bytes:
    """A PDF of one page; `streams` are (dictionary with %d for the length, data), first the page's content."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F1 4 0 R>>%s>>>>"
        % (5 + page_content, b"/XObject<</Im1 6 0 R>>" if len(streams) > 1 else b""),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        *(head % len(data) + b"\nstream\n" + data + b"\nendstream" for head, data in streams),
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    identity = b"%08x" % zlib.crc32(bytes(out[:4096]))
    out += b"trailer\n<</Size %d/Root 1 0 R/ID[<%s><%s>]>>\n" % (len(objects) + 1, identity, identity)
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % table
