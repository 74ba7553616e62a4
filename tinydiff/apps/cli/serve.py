"""The command ``tinydiff serve``."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tinydiff.apps.cli.options import DeviceName
from tinydiff.apps.serve.page import serve
from tinydiff.models import load_picture_model, read_about


@dataclass(frozen=True)
class Serve:
    """Serve a page in the browser that draws what one types (needs tinydiff[demo])."""

    called: ClassVar = {"The port": "port"}

    model: str = "avatars"
    """A model that draws from text: one that ships with tinydiff, or a folder."""
    host: str = "127.0.0.1"
    """The address to listen on; this one can only be reached from this machine."""
    port: int = 7860
    """The port to listen on."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Serve until Ctrl-C."""
        model = load_picture_model(self.model, self.device)
        data = str(read_about(self.model).get("data", ""))
        serve(model, Path(self.model).name, self.host, self.port, data)
