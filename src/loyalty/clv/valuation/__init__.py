"""From purchases and spend to money: the value of customers."""
