import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import toml

KEYS = st.one_of(
    st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=6),
    st.text(max_size=6).filter(lambda text: text.isprintable() and text.encode("utf-8", "ignore").decode() == text),
)
SCALARS = st.sampled_from(
    ["1", "true", "-0.5", "1979-05-27 07:32:00", '"a # b"', "'[x]'", '"""\n# x = 1\n[y]\n"""', "'''a\n\n'b''''",
     '"""a""""', '"""a"""""', '""', '""""a"b\\""""', '"q\\"\\\\"', "inf"]
)  # fmt: skip


def _arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=3).map(lambda items: "[" + "".join(f"{item}, # ] \n" for item in items) + "]")


def _inline_tables(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def write(pairs: dict[str, str]) -> str:
        return "{" + ", ".join(f"{_key(k)} = {v}" for k, v in pairs.items()) + "}"

    return st.dictionaries(KEYS, inner, max_size=3).map(write)


VALUES = st.recursive(SCALARS, lambda inner: _arrays(inner) | _inline_tables(inner), max_leaves=6)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


def _key(key: str) -> str:
    return (
        key
        if key and all(c in string.ascii_letters + string.digits + "-_" for c in key)
        else json.dumps(key, ensure_ascii=False)
    )


def _paths(value: object, path: toml.Path = ()) -> set[toml.Path]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return {path}.union(*(_paths(item, (*path, key)) for key, item in inner))


@settings(max_examples=150)
@given(TABLES, st.dictionaries(KEYS, st.lists(TABLES, min_size=1, max_size=3), max_size=3), st.booleans())
def test_every_key_that_tomllib_reads_has_its_line(
    top: dict[str, str], sections: dict[str, list[dict[str, str]]], crlf: bool
) -> None:
    lines: list[str] = []
    expected: dict[toml.Path, int] = {}
    for key, value in top.items():
        if key not in sections:
            expected[(key,)] = "\n".join([*lines, ""]).count("\n") + 1
            lines.append(f"{_key(key)} = {value} # comment = 1")
    for name, tables in sections.items():
        for number, table in enumerate(tables):
            lines.append(f"[[ {_key(name)} ]]" if len(tables) > 1 else f"[{_key(name)}]")
            for key, value in table.items():
                path = (name, number, key) if len(tables) > 1 else (name, key)
                expected[path] = "\n".join([*lines, ""]).count("\n") + 1
                lines.append(f"\t{_key(key)}={value}")
    text = "\n".join(lines)
    document = toml.read((text.replace("\n", "\r\n") if crlf else text).encode(), "x.toml")
    assert set(document.lines) | {()} == _paths(document.data)
    assert {path: document.lines[path] for path in expected} == expected


def test_headers_and_dotted_keys_are_followed_through_arrays_of_tables() -> None:
    content = b"[[a]]\nx = 1\n[a.b]\ny.z = 2\n[[a]]\n[[a.c]]\n[[a.c]]\nk = [1,\n 2]\n"
    document = toml.read(content, "x.toml")
    assert document.lines == {
        ("a",): 1,
        ("a", 0): 1,
        ("a", 0, "x"): 2,
        ("a", 0, "b"): 3,
        ("a", 0, "b", "y"): 4,
        ("a", 0, "b", "y", "z"): 4,
        ("a", 1): 5,
        ("a", 1, "c"): 6,
        ("a", 1, "c", 0): 6,
        ("a", 1, "c", 1): 7,
        ("a", 1, "c", 1, "k"): 8,
        ("a", 1, "c", 1, "k", 0): 8,
        ("a", 1, "c", 1, "k", 1): 9,
    }
    assert document.line(("a", 1, "c", 1, "missing")) == 7
    assert document.line(("nowhere",)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb =\n", "x.toml:2: is not TOML: invalid value"),
        (b"a = 1\na = 2\n", "x.toml:2: is not TOML: cannot overwrite a value"),
        (b"\n\na = [", "x.toml:3: is not TOML: invalid value"),
        (b"a = 1\nb = '\xff'\n", "x.toml:2: is not UTF-8 text; save the file as UTF-8"),
        (b"#" * (toml.MAX_FILE + 1), "x.toml:1: is larger than 1 MiB"),
        (b"a = " + b"[" * 40 + b"]" * 40, "x.toml:1: is nested too deeply"),
        (b"a = " + b"[" * 100_000, "x.toml:1: cannot be read: it nests or counts too far"),
        (b"a = " + b"9" * 10_000, "x.toml:1: cannot be read: it nests or counts too far"),
        (b"a" + b".a" * 3_000 + b" = 1", "x.toml:1: is nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_says_where(content: bytes, message: str) -> None:
    with pytest.raises(toml.BadFile) as caught:
        toml.read(content, "x.toml")
    assert caught.value.message == message
    assert caught.value.exit_code == 2


@given(st.binary(max_size=60) | st.text(alphabet="ab.=[]{}\"'\\#,\n1 ", max_size=40).map(str.encode))
def test_no_bytes_make_the_reader_leak_another_error(content: bytes) -> None:
    try:
        document = toml.read(content, "x.toml")
    except toml.BadFile as problem:
        line = problem.problems[0].line
    else:
        line = max(document.lines.values(), default=1)
        assert set(document.lines) | {()} == _paths(document.data)
    assert 1 <= line <= content.count(b"\n") + 1


def test_several_mistakes_are_listed_by_line_under_their_number() -> None:
    error = toml.BadFile("x.toml", [toml.Problem(9, "b.c", "is odd"), toml.Problem(2, "", "is even")])
    assert error.message == "x.toml has 2 mistakes\n  x.toml:2: is even\n  x.toml:9: b.c: is odd"
