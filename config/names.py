"""Names of councils as people write them, brought to a form in which they can be compared.

>>> plain_name("Telford & Wrekin Council"), plain_name("telford-and-wrekin"), plain_name("St. Helens")
('telford and wrekin council', 'telford and wrekin', 'st helens')
>>> loose_name("Royal Borough of Kensington and Chelsea"), loose_name("Kensington & Chelsea (LB)")
('kensington and chelsea', 'kensington and chelsea')
>>> loose_name("City of London Corporation")  # nothing would be left
'city of london corporation'
"""

import re
import unicodedata

# Words that say what kind of council it is, or only join others.
_KINDS = frozenset(
    ("the", "of", "council", "county", "city", "borough", "metropolitan", "district", "royal", "london")
) | {"unitary", "authority", "corporation", "mbc", "cc", "lb", "rb", "bc"}

_WORDS = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"['’`]")


def plain_name(name: str) -> str:
    """Small letters and digits in words with single blanks; accents and punctuation are gone, `&` is `and`."""
    letters = name.replace("&", " and ")
    if not letters.isascii():  # few names are not, and the register is read at every start
        letters = "".join(c for c in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(c))
    return " ".join(_WORDS.findall(_MARKS.sub("", letters.casefold())))


def loose_name(name: str) -> str:
    """The plain name without the words that only say what kind of council it is, as long as something is left."""
    words = plain_name(name).split()
    return " ".join([word for word in words if word not in _KINDS] or words)
