"""A file per command; whatever is slow to load is imported when the command runs."""
