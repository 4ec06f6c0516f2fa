"""What customers are worth: lifetime models, their predictions, value and backtests."""
