"""Every key of both sides is replaced under traffic, then what was stolen is revoked and used: nothing is lost, and
nothing that is not theirs is believed."""

from collections import Counter

import pytest

from exchange.landing import AuthenticationRefused
from keys.key_info import NEEDED
from tests.rotation.storm import PARTNER, Storm, storm
from tests.rotation.thief import FORGED, Thief, land


def rob(made: Storm, name: str) -> Thief:
    """Somebody copies the home of an organisation while its daemon does not run."""
    made.kill(name)
    thief = Thief.of(made.both[name], PARTNER[name], made.folder.parent, made.program)
    made.both[name].start()
    return thief


@pytest.mark.timeout(1200)
def test_all_keys_are_replaced_and_the_stolen_ones_revoked_while_files_go_both_ways() -> None:
    with storm(seed=2026) as made:
        made.turn()
        assert [made.reasons(name, "quarantined") for name in made.both] == [{}, {}]
        ofsted = made.both["ofsted"]
        thief = rob(made, "lgsco")
        thief.logs_in(ofsted.sshd.address())
        for purpose in ("signing", "transport"):
            made.revoke("lgsco", purpose)
        forged = thief.concern() | thief.announcements()
        assert len(forged) >= 1 + len(NEEDED)
        with pytest.raises(AuthenticationRefused):
            thief.logs_in(ofsted.sshd.address())
        courier = made.couriers["ofsted"]
        land(courier.desk, forged, courier.first)
        made.rest()
        for one in made.both.values():
            assert one.stop() == 0
        # also the first messages that came, of which the thief had copies: all that counted then was counted then
        assert made.violations(but=frozenset({"quarantined"})) == []
        assert made.reasons("lgsco", "quarantined") == {}
        reasons = made.reasons("ofsted", "quarantined")
        assert Counter(reasons.pop(name.removesuffix(".age")) for name in forged) == {"key-revoked": len(forged)}
        # what LGSCO itself had on its way when it revoked the key is refused like a forgery, and made anew
        overtaken = {reason for name, reason in reasons.items() if name not in courier.names_of_first()}
        assert overtaken <= {"key-revoked"}
        assert not [path for path in ofsted.files(ofsted.home.inbound) if path.read_bytes() == FORGED]
        assert min(map(len, made.stream.dropped.values())) > 10
        assert made.killed
