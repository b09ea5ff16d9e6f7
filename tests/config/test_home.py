import os
import stat
from pathlib import Path

import pytest

from config import home, sample
from config.errors import Misuse, NotNow
from config.home import Home


@pytest.fixture
def made(tmp_path: Path) -> Home:
    return home.initialise(tmp_path / "lgsco", "lgsco", "The Ombudsman", {"keys.passphrase_file": "passphrase"})


def _complaint(of: Home) -> Misuse:
    with pytest.raises(Misuse) as caught:
        of.check_permissions()
    return caught.value


def test_a_new_home_has_every_folder_closed_to_others(made: Home) -> None:
    names = {"keys", "cards", "outbound", "inbound", "held", "sent", "spool", "quarantine", "landing", "collect"}
    assert {path.name for path in made.root.iterdir()} == names | {"handover.toml"}
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (made.root, *made.folders()))
    assert made.marker == made.root / "outbound" / ".handover-outbound"
    assert made.marker.is_file()
    made.root.joinpath("passphrase").touch(0o600)
    made.check_permissions()


def test_a_new_home_says_what_it_was_told(made: Home) -> None:
    assert Home.open(made.root).settings == made.settings
    assert made.passphrase_file == made.root / "passphrase"
    assert made.settings.organisation.name == "The Ombudsman"


def test_a_name_in_any_script_survives(tmp_path: Path) -> None:
    name = 'Swyddfa "Ø" \\ ' + "é\t\x7f\n[keys]"
    assert home.initialise(tmp_path / "x", "ab", name).settings.organisation.name == name


def test_a_second_home_in_the_same_place_is_refused_and_the_first_stays(made: Home) -> None:
    before = made.config_file.read_bytes()
    with pytest.raises(Misuse, match=r"there is a home in .* already"):
        home.initialise(made.root, "other", "Other")
    assert made.config_file.read_bytes() == before


@pytest.mark.parametrize(
    ("organisation", "name", "values", "what"),
    [
        ("LGSCO", "x", {}, "organisation.id: must be 2 to 32 small letters"),
        ("lgsco", "", {}, "organisation.name: must not be empty"),
        ("lgsco", "\udcff", {}, "not valid text"),
        ("lgsco", "x", {"watch.resan": "1s"}, 'did you mean "watch.rescan"'),
        ("lgsco", "x", {"watch.rescan": "soon"}, "watch.rescan: is not a duration"),
    ],
)
def test_a_home_that_would_not_work_is_not_begun(
    tmp_path: Path, organisation: str, name: str, values: dict[str, sample.Value], what: str
) -> None:
    with pytest.raises(Misuse, match=what):
        home.initialise(tmp_path / "x", organisation, name, values)
    assert not (tmp_path / "x").exists()


def test_a_home_cannot_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotNow, match=r"no home can be made in .*: not a directory"):
        home.initialise(tmp_path / "file" / "x", "lgsco", "x")


def test_a_home_is_one_only_when_all_that_belongs_to_it_is_there(tmp_path: Path) -> None:
    class PowerCut(Exception):
        pass

    def fill(begun: Home) -> None:
        assert begun.marker.is_file()
        assert not begun.config_file.exists()
        raise PowerCut

    with pytest.raises(PowerCut):
        home.initialise(tmp_path / "x", "lgsco", "x", fill=fill)
    with pytest.raises(Misuse, match=r"there is no handover\.toml"):
        Home.open(tmp_path / "x")
    assert home.initialise(tmp_path / "x", "lgsco", "x").config_file.is_file()


def test_folders_can_lie_elsewhere(tmp_path: Path) -> None:
    made = home.initialise(tmp_path / "x", "lgsco", "x", {"folders.outbound": str(tmp_path / "share")})
    assert made.outbound == tmp_path / "share"
    assert (tmp_path / "share" / home.MARKER).is_file()
    assert made.inbound == tmp_path / "x" / "inbound"


def test_a_partners_folders_are_made_for_each_category(made: Home) -> None:
    made.create_partner_folders("ofsted", ["upheld-decision"])
    assert (made.outbound / "ofsted" / "upheld-decision").is_dir()
    assert (made.landing / "ofsted").is_dir()
    assert not (made.collect / "ofsted").exists()


def test_a_partner_that_collects_has_a_folder_to_collect_from(made: Home) -> None:
    made.create_partner_folders("ofsted", [], collects=True)
    assert stat.S_IMODE((made.collect / "ofsted").stat().st_mode) == 0o700


def test_a_home_is_found_in_the_promised_order(tmp_path: Path) -> None:
    upper = tmp_path / "a"
    inner = upper / "b" / "c"
    inner.mkdir(parents=True)
    elsewhere = tmp_path / "data"
    assert home.find_root(None, None, inner, elsewhere) == elsewhere
    (upper / "handover.toml").touch()
    assert home.find_root(None, "", inner, elsewhere) == upper
    (inner / "handover.toml").mkdir()
    assert home.find_root(None, None, inner, elsewhere) == upper
    assert home.find_root(None, "/srv/env", inner, elsewhere) == Path("/srv/env")
    assert home.find_root(Path("/srv/said"), "/srv/env", inner, elsewhere) == Path("/srv/said")


def test_the_data_directory_is_the_users_where_xdg_says_nothing_absolute() -> None:
    customary = Path.home() / ".local/share/handover"
    assert home.data_directory({}) == customary
    assert home.data_directory({"XDG_DATA_HOME": "relative"}) == customary
    assert home.data_directory({"XDG_DATA_HOME": "/data"}) == Path("/data/handover")


def test_a_found_home_is_read(made: Home) -> None:
    assert Home.find(None, None, made.spool).root == made.root
    with pytest.raises(Misuse, match=r"there is no handover\.toml"):
        Home.find(made.spool, None, made.root)


def test_what_others_can_reach_is_named_with_the_command_that_mends_it(made: Home) -> None:
    made.root.joinpath("passphrase").touch(0o600)
    made.keys.chmod(0o755)
    error = _complaint(made)
    assert error.message == "the folder of the private keys can be reached by others (mode 0755, at most 0700)"
    assert error.hint == f"chmod 0700 {made.keys}"


def test_every_open_place_is_listed_at_once(made: Home) -> None:
    made.root.joinpath("passphrase").touch()
    made.root.joinpath("passphrase").chmod(0o604)
    made.keys.joinpath("signing-1.age").touch()
    made.keys.joinpath("signing-1.age").chmod(0o640)
    made.ledger.touch()
    made.ledger.chmod(0o666)
    made.config_file.chmod(0o664)
    made.spool.chmod(0o701)
    made.root.chmod(0o770)
    lines = _complaint(made).message.splitlines()
    assert lines == [
        "6 permissions of the home are wrong",
        "  the home can be reached by others (mode 0770, at most 0750)",
        "  file 1 in the folder of the private keys (signing-1.age) can be reached by others (mode 0640, at most 0600)",
        "  the passphrase file can be reached by others (mode 0604, at most 0600)",
        "  handover.toml can be reached by others (mode 0664, at most 0644)",
        "  the ledger can be reached by others (mode 0666, at most 0640)",
        "  the spool can be reached by others (mode 0701, at most 0700)",
    ]


def test_the_group_may_read_the_ledger_for_the_web_page(made: Home) -> None:
    made.root.joinpath("passphrase").touch(0o600)
    made.root.chmod(0o750)
    made.ledger.touch()
    made.ledger.chmod(0o640)
    made.check_permissions()


def test_what_is_missing_is_named_with_its_place(made: Home) -> None:
    error = _complaint(made)
    assert error.message == "the passphrase file is missing"
    assert error.hint == f"it belongs at {made.root / 'passphrase'}"


def test_what_belongs_to_another_user_is_named(made: Home) -> None:
    made.root.joinpath("passphrase").touch(0o600)
    if os.geteuid() == 0:  # only root can give a file away, and CI runs as root
        os.chown(made.keys, 12345, 12345)
        assert _complaint(made).message == "the folder of the private keys belongs to another user (number 12345)"


def test_a_landing_zone_that_belongs_to_root_is_left_to_root(made: Home) -> None:
    made.landing.rmdir()
    made.landing.symlink_to("/proc/1/fdinfo")  # where nobody, not even root, may make a folder
    made.create_partner_folders("ofsted", ["upheld-decision"])
    assert (made.outbound / "ofsted" / "upheld-decision").is_dir()
