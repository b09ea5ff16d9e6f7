"""The one error hierarchy: four kinds that a caller treats differently, and what a person is told.

A message is lower case, has no final period, and says what happened and where; `hint` says what to do about it.
Neither ever holds a secret, a file name or a complaint reference when it may reach a log.

>>> error = NotNow("the ledger is locked by another daemon", hint="stop it first")
>>> print(error.for_people())
error: the ledger is locked by another daemon
hint: stop it first
>>> error.exit_code
3
"""


class HandoverError(Exception):
    """Root of every error that Handover raises on purpose.

    `message` is for a person; `hint` (may be empty) is the next step; `exit_code` is what the command line returns.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def for_people(self) -> str:
        """The one or two lines that a command prints on stderr."""
        return f"error: {self.message}" + (f"\nhint: {self.hint}" if self.hint else "")


class Refused(HandoverError):
    """The answer is no: something did not verify or is not allowed. Exit code 1.

    `reason` is a short stable code (`wrong-recipient`, `too-large`, ...) that may be recorded and sent to a partner.
    """

    exit_code = 1
    reason = "refused"

    def __init__(self, message: str, *, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        if reason:
            self.reason = reason


class Misuse(HandoverError):
    """The command, its arguments or the configuration are wrong. Exit code 2."""

    exit_code = 2


class NotNow(HandoverError):
    """Not possible at the moment: locked, unreachable, full. Trying again may help. Exit code 3."""

    exit_code = 3


class Tampered(HandoverError):
    """Evidence that a record was altered, forked or rolled back. Never repaired silently. Exit code 4."""

    exit_code = 4
