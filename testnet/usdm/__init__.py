"""The USD-M market: perpetual contracts, margined and settled in a stable coin."""
