"""What models are fitted on: customers counted by their histories."""
