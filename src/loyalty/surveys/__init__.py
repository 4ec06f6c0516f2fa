"""Numbers from what customers say, beside what they do."""
