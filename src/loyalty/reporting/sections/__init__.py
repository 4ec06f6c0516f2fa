"""The sections of the page, a file per theme: each turns results into sentences, pictures and tables."""
