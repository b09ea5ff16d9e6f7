"""A partner's landing zone on our own OpenSSH server: its configuration, and with which keys who may log in.

sshd asks anew at every login, so a new transport key of a partner opens its landing zone as soon as it is accepted, and
an old one does not once it was retired:

    AuthorizedKeysCommand /usr/bin/handover --home /srv/handover partner landing --user %u
    AuthorizedKeysCommandUser handover

Whatever goes wrong, nothing is printed and nobody gets in.
"""

from datetime import datetime
from importlib import resources

from config.errors import Misuse
from config.home import Home
from keys.trust import Trust

RESTRICT = "restrict"
"""No shell, no forwarding, no terminal, whatever else sshd would allow."""


def authorized_keys(home: Home, trust: Trust, user: str, now: datetime) -> list[str]:
    """The lines of authorized_keys for one user of our server; none for a user that is no partner's."""
    pattern = home.settings.landing.user
    partners = [partner for partner in trust.partners if pattern.replace("{partner}", partner) == user]
    return [f"{RESTRICT} {line}" for partner in partners for line in trust.standing(partner).keys("transport", now)]


def configuration(home: Home, trust: Trust, partner: str, now: datetime) -> str:
    """The sshd configuration for a partner's landing zone, and its authorized keys, as a page to work through."""
    if partner not in trust.partners:
        raise Misuse(f"{partner} is not a partner", hint=f"partners: {', '.join(trust.partners) or 'none yet'}")
    user = home.settings.landing.user.replace("{partner}", partner)
    shipped = (resources.files("config") / "data" / "sshd-landing.conf").read_text("utf-8")
    keys = "".join(f"#   {line}\n" for line in authorized_keys(home, trust, user, now))
    return (
        f"{shipped}\n# The keys of {partner}, for /etc/ssh/handover/{user}:\n{keys}"
        "# Or let sshd ask at every login, so that a new key needs no hand; in the block above, in the place of\n"
        "# AuthorizedKeysFile and AuthorizedKeysCommand:\n"
        f"#   AuthorizedKeysFile none\n"
        f"#   AuthorizedKeysCommand /usr/bin/handover --home {home.root} partner landing --user %u\n"
        "#   AuthorizedKeysCommandUser handover\n"
    )
