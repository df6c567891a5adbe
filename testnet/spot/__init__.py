"""The spot market: balances change hands at every trade."""
