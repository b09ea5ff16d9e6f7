"""The key folder is read while another process of ours destroys a key."""

from pathlib import Path

import pytest

from keys import key_files, key_folder
from keys.key_errors import UnreadableKey
from keys.keyring import Keyring, Secret
from tests.keys.rings import NOW


def test_a_key_that_is_destroyed_while_the_folder_is_read_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    keyring = Keyring.create(folder, "lgsco", Secret("passphrase"), NOW, work_factor=1)
    listed = [*key_files.names(folder), "signing-7.age", "signing-7.json"]
    monkeypatch.setattr(key_files, "names", lambda _: listed)
    keyring.destroy(keyring.current("transport", NOW).fingerprint)
    assert key_folder.read_infos(folder) == keyring.infos()
    (folder / "signing-7.age").symlink_to("/nowhere")
    with pytest.raises(UnreadableKey):
        key_folder.read_infos(folder)
