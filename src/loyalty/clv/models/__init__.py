"""The models: what they assume, how they are fitted, what they predict, and how sure they are."""
