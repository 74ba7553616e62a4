"""The command line, a file per command."""

from tinydiff.apps.cli.main import main

__all__ = ["main"]
