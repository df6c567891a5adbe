"""Trading: orders, fills, positions, strategies, rails and breakers."""
