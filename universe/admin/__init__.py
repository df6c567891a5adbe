from universe.admin import instruments, market_data

__all__ = ["instruments", "market_data"]
