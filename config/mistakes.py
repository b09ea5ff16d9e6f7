"""From what pydantic finds wrong to what an administrator reads: the line, the key, a plain sentence and a hint.

>>> from pydantic import BaseModel, ConfigDict, ValidationError
>>> class File(BaseModel):
...     model_config = ConfigDict(extra="forbid", strict=True)
...     port: int = 22
>>> document = toml.read(b'# mine\\nprot = 22\\nport = "22"\\n', "some.toml")
>>> try:
...     File.model_validate(document.data)
... except ValidationError as error:
...     for problem in explain(error, document, File):
...         print(problem.line, problem.where, problem.what)
3 port must be a whole number, without quotes
2 prot is not a key that Handover knows; did you mean "port"?
"""

from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config import toml

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a section",
    "model_type": "must be a section",
    "model_attributes_type": "must be a section",
    "string_too_short": "must not be empty",
}


def explain(error: ValidationError, document: toml.Document, model: type[BaseModel]) -> list[toml.Problem]:
    """One problem for each finding of pydantic; never shows a value, which might be a secret in the wrong place."""
    return [_problem(detail, document, model) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, document: toml.Document, model: type[BaseModel]) -> toml.Problem:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    return toml.Problem(document.line(path), _dotted(path), _what(detail, path, model))


def _dotted(path: toml.Path) -> str:
    """`landing.host_keys[1]`."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _what(detail: ErrorDetails, path: toml.Path, model: type[BaseModel]) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, model)
    if kind == "handover":
        return str(context["what"])
    if kind == "literal_error":
        return f"must be {context['expected'].replace(chr(39), chr(34))}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"must be {'at least' if 'ge' in context else 'at most'} {context.get('ge', context.get('le'))}"
    if kind == "string_too_long":
        return f"must not be longer than {context['max_length']} characters"
    return _WORDS.get(kind, "is not a value that fits here")


def _unknown(path: toml.Path, model: type[BaseModel]) -> str:
    around = _model_at(path[:-1], model)
    known = list(around.model_fields) if around else []
    word = str(path[-1])
    if around is model and (sections := _sections(model)):
        near = toml.did_you_mean(word, known)
        places = [name for name, section in sections.items() if word in section.model_fields]
        elsewhere = f'; it belongs into the section "{places[0]}"' if places else ""
        return f"is not a section that Handover knows{near or elsewhere}"
    places = [name for name, section in _sections(model).items() if word in section.model_fields]
    near = toml.did_you_mean(word, known)
    elsewhere = f'; it belongs into the section "{places[0]}"' if places else ""
    return f"is not a key that Handover knows{near or elsewhere}"


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {name: found for name in model.model_fields if (found := _model_at((name,), model))}


def _model_at(path: toml.Path, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that describes the table at a path; a dictionary's values are described by its last type argument."""
    current: type[BaseModel] | None = model
    rest = list(path)
    while rest and current is not None:
        field = current.model_fields.get(str(rest.pop(0)))
        kind = field.annotation if field else None
        if rest and get_args(kind):
            kind, _ = get_args(kind)[-1], rest.pop(0)
        current = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return current
