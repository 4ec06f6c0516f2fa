"""PostgreSQL, by way of Ibis: every query runs on the caller's own connection."""
