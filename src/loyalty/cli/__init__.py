"""The command `loyalty`: arguments → library → terminal."""

from loyalty.cli.app import main

__all__ = ["main"]
