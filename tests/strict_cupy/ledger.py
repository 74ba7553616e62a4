"""Notes of every wait of the host for the device."""


class Synchronisation(AssertionError):
    """The host waited for the device where that was forbidden."""


class Ledger:
    """Notes every wait of the host for the device."""

    def __init__(self):
        self.notes: list[str] = []
        self.forbidden = False

    def note(self, what: str) -> None:
        self.notes.append(what)
        if self.forbidden:
            raise Synchronisation(f"{what} makes the host wait for the GPU.")


LEDGER = Ledger()
