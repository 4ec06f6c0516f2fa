"""Spark: every query runs in the caller's own session."""
