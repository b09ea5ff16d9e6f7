"""A real PKCS #11 token for tests: SoftHSM 2, with its objects in a folder of the test's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pkcs11
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys.secret import Secret
from keys.token import Token

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = Secret("correct-horse-1")
SO_PIN = "87654321"
LABEL = "handover"


class SoftHsm:
    """Tokens in `folder`; the variable SOFTHSM2_CONF has to name `conf` in every process that uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects_folder = folder / "tokens"
        self.conf = folder / "softhsm2.conf"
        self.objects_folder.mkdir(parents=True, mode=0o700)
        self.conf.write_text(
            f"directories.tokendir = {self.objects_folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs to find the tokens."""
        return {"SOFTHSM2_CONF": str(self.conf)}

    def init(self, label: str = LABEL) -> None:
        """Make a token."""
        pins = ["--pin", PIN.reveal(), "--so-pin", SO_PIN]
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, *pins)

    def token(self, label: str = LABEL, pin: Secret = PIN) -> Token:
        """The token, as the program uses it."""
        return Token(MODULE, label, lambda: pin)

    def tool(self, *arguments: str) -> str:
        """What OpenSC's pkcs11-tool says of the token, logged in."""
        return self._run("pkcs11-tool", "--module", str(MODULE), "--login", "--pin", PIN.reveal(), *arguments)

    def bring_in(self, identity: bytes, label: str = LABEL) -> None:
        """Put a private key there that was made outside."""
        private = self.folder / "outside.pem"
        key = Ed25519PrivateKey.generate()
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        place = ["--token", label, "--label", "from outside", "--id", identity.hex(), "--pin", PIN.reveal()]
        self._run("softhsm2-util", "--import", str(private), *place)

    def labels(self) -> list[str]:
        """Of all private keys in the token that comes first, sorted."""
        listed = self.tool("--list-objects", "--type", "privkey")
        return sorted(
            line.split(":", 1)[1].strip() for line in listed.splitlines() if line.strip().startswith("label:")
        )

    def take_away(self) -> None:
        """As if the token were unplugged, or its service down."""
        shutil.move(self.objects_folder, self.folder / "away")
        self.objects_folder.mkdir(mode=0o700)

    def bring_back(self) -> None:
        """Plug it in again."""
        self.objects_folder.rmdir()
        shutil.move(self.folder / "away", self.objects_folder)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def forget() -> None:
    """Let this process look for tokens anew: what it has open is of no use any more."""
    library = pkcs11.lib(str(MODULE))
    library.finalize()
