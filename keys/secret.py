"""A passphrase that does not show: not in `repr`, `str`, a format, a log, a traceback's locals, nor in a pickle.

>>> passphrase = Secret("correct horse battery staple")
>>> passphrase, f"{passphrase}", [str(passphrase)]
(Secret('…'), "Secret('…')", ["Secret('…')"])
>>> passphrase == Secret("correct horse battery staple"), passphrase == "correct horse battery staple"
(True, False)
>>> passphrase.reveal()
'correct horse battery staple'
"""

import hmac
from typing import Never


class Secret:
    """Text that only `reveal` gives out. Compared in constant time, never hashed, pickled or printed."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text itself."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret('…')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_octets(self), _octets(other))

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret is not written down")


def _octets(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")
