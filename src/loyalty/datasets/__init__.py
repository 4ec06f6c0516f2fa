"""Data to try things on: CDNOW and a donations table from the lifetimes package, and seeded simulators.

Simulators draw from `numpy.random.Generator` only: the same arguments give the same frame, and NumPy's global
random state is never touched. pandas is imported on first use, lifetimes never (only its files are read).
"""

from __future__ import annotations

from loyalty.datasets.files import simulate_files
from loyalty.datasets.published import cdnow, cdnow_sample, donations
from loyalty.datasets.simulated import simulate, simulate_scores, simulate_wallet

__all__ = ["cdnow", "cdnow_sample", "donations", "simulate", "simulate_files", "simulate_scores", "simulate_wallet"]
