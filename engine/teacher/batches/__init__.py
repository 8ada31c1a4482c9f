"""Samples through a provider's batch API: written, handed over, looked at, fetched; found again after any end."""
