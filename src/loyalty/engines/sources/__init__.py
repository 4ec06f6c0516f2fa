"""What a caller may hand over: frames in memory, files, databases; each becomes a `Source`."""
