"""What a partner's reason for refusing a file means, for the person to whom the file came back."""

from collections.abc import Mapping
from dataclasses import dataclass

_BACK = "move the file back into its outbound folder"
_NAME = f"Write it at the beginning of the file's name, as the agreement has it, then {_BACK}."
_SMALLER = f"Split the file, or leave out what is not needed, then {_BACK}; or agree with them that they take more."
_PLACE = f"Look whether the file lay in the right folder, then {_BACK}; or put it into the right one."
_SETTINGS = f"An administrator has to settle this with theirs. Then {_BACK}: it goes once more."
_AGAIN = f"{_BACK.capitalize()}: it is sealed anew and goes once more. If that is refused too, tell an administrator."


@dataclass(frozen=True, slots=True)
class Meaning:
    """Sentences for a person."""

    why: str
    what_to_do: str


_KNOWN: Mapping[str, Meaning] = {
    # what a file is, or lies in
    "too-large": Meaning("It is larger than they take.", _SMALLER),
    "empty-file": Meaning("It is empty.", f"Save the document once more, whole, then {_BACK}."),
    "type-not-allowed": Meaning(
        "This kind of file is not in their agreement.", "Save it as another kind, such as PDF, and drop that."
    ),
    "unknown-category": Meaning("Their agreement does not name this kind of concern.", _PLACE),
    "wrong-direction": Meaning("By their agreement this kind of concern does not go from us to them.", _PLACE),
    "unknown-authority": Meaning("They do not know the council that it is about.", _PLACE),
    "authority-not-in-force": Meaning(
        "The council was not responsible for children's services on the day that it is about.",
        f"Put the file into the folder of the council that was; or give the day in its details, then {_BACK}.",
    ),
    "missing-reference": Meaning("The complaint reference is missing.", _NAME),
    "bad-reference": Meaning("The complaint reference does not have the form that they expect.", _NAME),
    "gateway-not-allowed": Meaning(
        "They do not share this under the legal power that was named.", f"Name another in its details, then {_BACK}."
    ),
    # what was agreed
    "no-agreement": Meaning("By their settings there is no agreement with us.", _SETTINGS),
    "other-agreement": Meaning("By their settings another agreement is in force with us.", _SETTINGS),
    "other-agreement-version": Meaning("They have another text of the agreement than we have.", _SETTINGS),
    "downgrade": Meaning("It was sealed more weakly than they ask for.", _SETTINGS),
    "mixed-recipients": Meaning("It was sealed to strong keys and to weak ones at once.", _SETTINGS),
    "wrong-recipient": Meaning("It was addressed to another organisation.", _SETTINGS),
    "wrong-recipient-key": Meaning("It was addressed to another key than the one that opened it.", _SETTINGS),
    # when, and in what order, it came
    "expired": Meaning("It came after the last day on which they could take it.", _AGAIN),
    "not-yet-valid": Meaning(
        "By their clock it was made in the future.",
        f"An administrator has to compare the clocks of both organisations. Then {_BACK}: it goes once more.",
    ),
    "other-name": Meaning("It arrived under the name of another file.", _AGAIN),
    "bad-manifest": Meaning("What came with it did not describe a file.", _AGAIN),
    "sequence-jump": Meaning("Its running number is far above all that they have seen from us.", _SETTINGS),
}


def meaning(reason: str | None) -> Meaning:
    """Of a code that a receipt gave; one that this version does not know is passed on as it is."""
    known = _KNOWN.get(reason or "")
    if known is None:
        return Meaning(f"Their reason: {reason or 'none given'}.", f"Ask them what to mend, then {_BACK}.")
    return Meaning(f"{known.why.removesuffix('.')} ({reason}).", known.what_to_do)
