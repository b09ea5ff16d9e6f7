"""The commented `handover.toml` of a new home, and the manual's page about it, both made from the Settings model.

    python -m config.sample                   prints the sample
    python -m config.sample --write-docs      writes docs/configuration.md (a test compares)

In the sample a key that was given is live; every other key stands there as a comment with the value that holds
without it, so that removing the `# ` changes nothing until the value is edited. Where nothing holds, the comment says
so and shows an example.

>>> print(render({"organisation.id": "lgsco", "organisation.name": "The Ombudsman"})[:178])
# Settings of Handover. A line such as
#    rescan = "30s"
# shows what holds while it is a comment. Check with: handover config check
<BLANKLINE>
# Who this home belongs to.
[organisation]
"""

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config import toml
from config.errors import Misuse
from config.sections import Collect, Partner
from config.settings import Settings

Value = str | float | list[str]
"""What a key can be set to, as it is written in the file."""

DOCS = Path("docs/configuration.md")
EXAMPLE = {"organisation.id": "lgsco", "organisation.name": "Local Government and Social Care Ombudsman"}

_HEAD = """\
# Settings of Handover. A line such as
#    rescan = "30s"
# shows what holds while it is a comment. Check with: handover config check
"""
_WIDTH = 100
_PARTNERS, _COLLECT = "partners", "collect"


def render(values: Mapping[str, Value]) -> str:
    """The text of a `handover.toml` in which `values`, by dotted names, are live; raises Misuse for an unknown name."""
    left = dict(values)
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        if name != _PARTNERS:
            section = section_of(field)
            parts.append(_comment(_doc(section)) + f"[{name}]\n" + _keys(section, f"{name}.", left))
    partners = sorted({key.split(".")[1] for key in left if key.startswith(f"{_PARTNERS}.") and key.count(".") >= 2})
    parts.append(_comment(_doc(Partner)) + ("" if partners else "# [partners.ofsted]\n" + _keys(Partner, "", {})))
    for partner in partners:
        parts.append(f"[partners.{partner}]\n" + _keys(Partner, f"partners.{partner}.", left))
        prefix = f"partners.{partner}.{_COLLECT}."
        if any(key.startswith(prefix) for key in left):
            parts.append(_comment(_doc(Collect)) + f"[{prefix[:-1]}]\n" + _keys(Collect, prefix, left))
    if not partners:
        parts.append(_comment(_doc(Collect)) + f"# [partners.ofsted.{_COLLECT}]\n" + _keys(Collect, "", {}))
    if left:
        known = [f"{name}.{key}" for name, f in Settings.model_fields.items() if name != _PARTNERS
                 for key in section_of(f).model_fields]  # fmt: skip
        unknown = next(iter(left))
        raise Misuse(f"{unknown} is not a setting that Handover knows{toml.did_you_mean(unknown, known)}")
    return "\n".join(parts)


def documentation() -> str:
    """The manual's page: one table for each section, and the sample."""
    parts = [
        "# Configuration\n\n"
        "<!-- Made by `python -m config.sample --write-docs` from config/sections.py; edit that file instead. -->\n\n"
        "Everything lies in `handover.toml` in the home. Every mistake is reported at once with its line"
        " (`handover config check`); an unknown key is a mistake. Durations are written as `500ms`, `30s`, `15m`,"
        " `12h`, `7d` or `2w`, sizes as `512B`, `64KiB`, `20MiB` or `10GiB`. Folders and files start at the home"
        " unless they are absolute.\n"
    ]
    for name, field in Settings.model_fields.items():
        section = Partner if name == _PARTNERS else section_of(field)
        title = "[partners.ID]" if name == _PARTNERS else f"[{name}]"
        parts.append(f"## `{title}`\n\n{_doc(section)}\n\n" + _table(section))
    parts.append(f"## `[partners.ID.{_COLLECT}]`\n\n{_doc(Collect)}\n\n" + _table(Collect))
    parts.append("## The file that `handover init` writes\n\n```toml\n" + render(EXAMPLE) + "```\n")
    return "\n".join(parts)


def _keys(section: type[BaseModel], prefix: str, values: dict[str, Value]) -> str:
    """A section's keys; takes those that it writes out of `values`."""
    lines = ""
    for key, field in _written(section):
        meaning = field.description or ""
        default = _defaults(section).get(key)
        if prefix + key in values:
            lines += _comment(meaning) + f"{key} = {toml.write(values.pop(prefix + key))}\n"
        elif default is None:
            lines += _comment(f"{meaning} Not set; for example:") + f"# {key} = {toml.write(_example(field))}\n"
        else:
            lines += _comment(meaning) + f"# {key} = {toml.write(default)}\n"
    return lines


def _table(section: type[BaseModel]) -> str:
    schemas = section.model_json_schema()["properties"]
    rows = ["| key | value | without it | meaning |", "|---|---|---|---|"]
    for key, field in _written(section):
        default = _defaults(section).get(key)
        without = (
            "must be given" if field.is_required() else "nothing" if default is None else f"`{toml.write(default)}`"
        )
        rows.append(f"| `{key}` | {_kind(schemas[key])} | {without} | {field.description} |")
    return "\n".join(rows) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    """What is written for a key, in words, from its place in the JSON schema."""
    one = schema["anyOf"][0] if "anyOf" in schema else schema
    if "enum" in one:
        return " or ".join(f"`{toml.write(value)}`" for value in one["enum"])
    words = {"string": "text", "integer": "number", "boolean": "`true` or `false`", "array": "list of texts"}
    return str(one.get("x-kind", words[one["type"]]))


def section_of(field: FieldInfo) -> type[BaseModel]:
    """The model of a section."""
    kind = field.annotation
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise TypeError("a section that is not a model")
    return kind


def _written(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a section that are no section of their own."""
    for key, field in section.model_fields.items():
        if not isinstance(field.default, BaseModel):
            yield key, field


def _defaults(section: type[BaseModel]) -> dict[str, Value]:
    """What holds without a key, as it would be written; empty where a section cannot be left out."""
    if any(field.is_required() for field in section.model_fields.values()):
        return {}
    return section().model_dump(mode="json")


def _example(field: FieldInfo) -> Value:
    examples: list[Value] = field.examples or [""]
    return examples[0]


def _doc(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip()


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))


def main(arguments: Sequence[str]) -> None:
    """Print the sample, or write the manual's page."""
    if arguments == ["--write-docs"]:
        DOCS.write_text(documentation(), encoding="utf-8")
    else:
        sys.stdout.write(render(EXAMPLE))


if __name__ == "__main__":
    main(sys.argv[1:])
