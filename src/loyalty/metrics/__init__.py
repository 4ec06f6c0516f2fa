"""Metrics of a log: each a function of `Transactions` that returns an estimate or a table."""
