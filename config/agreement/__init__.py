"""The sharing agreement: what may be sent by whom to whom, and why something else may not.

`model` says what an agreement is, `file` reads one, `library` knows where they lie, `rules` judges a file by one,
`reference` finds a complaint reference in a name.
"""

from config.agreement.describe import Description, describe
from config.agreement.file import parse
from config.agreement.library import load, load_all, shipped
from config.agreement.model import Agreement, Flow, media_type
from config.agreement.reference import find_reference
from config.agreement.rules import Objection, check

__all__ = [
    "Agreement",
    "Description",
    "Flow",
    "Objection",
    "check",
    "describe",
    "find_reference",
    "load",
    "load_all",
    "media_type",
    "parse",
    "shipped",
]
