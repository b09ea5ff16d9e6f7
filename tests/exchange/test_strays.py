"""A sidecar that comes too late does not speak for the next file of its name."""

from tests.organisations import CASE, Pair

LATE = 'authority = "E08000035"\n'


def test_a_sidecar_without_a_file_is_put_aside_with_its_reason_and_used_for_no_other_file(pair: Pair) -> None:
    path = pair.lgsco.drop(b"first")
    pair.settle()
    sidecar = path.with_name(path.name + ".concern.toml")
    sidecar.write_text(LATE)
    pair.lgsco.take()
    assert sidecar.exists()
    pair.clock.advance(minutes=11)
    pair.lgsco.take()
    assert not sidecar.exists()
    held = pair.lgsco.home.held / "ofsted" / sidecar.name
    assert held.read_text() == LATE
    assert "NOT used" in held.with_name(held.name + ".why.txt").read_text()
    pair.lgsco.drop(b"second")
    pair.settle()
    assert {h.authority for h in pair.lgsco.handovers()} == {"E08000025"}


def test_a_sidecar_that_waits_for_its_file_is_left_alone(pair: Pair) -> None:
    path = pair.lgsco.home.outbound / "ofsted" / f"{CASE} decision.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecar = path.with_name(path.name + ".concern.toml")
    sidecar.write_text(LATE)
    path.with_name(path.name + ".part").write_bytes(b"half")
    pair.clock.advance(minutes=11)
    pair.lgsco.take()
    assert sidecar.exists()
