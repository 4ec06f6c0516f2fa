"""The command `loyalty`: arguments → library → terminal."""

from loyalty.cli.entry import main

__all__ = ["main"]
