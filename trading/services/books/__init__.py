"""The books rebuilt from their facts: fills, transfers and ledger entries."""
