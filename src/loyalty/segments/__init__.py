"""Segments: who brings the revenue, and who is at which point of the relationship."""
