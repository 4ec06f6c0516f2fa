"""Results as one self-contained page: gathered, put into a document of data, rendered last."""
