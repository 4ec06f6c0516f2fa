"""lifetimes in and out: its fitted objects and summary frames as ours, our fits as its fitted objects.

docs/from-lifetimes.md says what its names are called here, and what in it fails today.
"""

from __future__ import annotations

from loyalty.interop.exporting import to_lifetimes
from loyalty.interop.importing import from_lifetimes, summary_from_lifetimes

__all__ = ["from_lifetimes", "summary_from_lifetimes", "to_lifetimes"]
