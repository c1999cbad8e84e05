"""Deterministic simulation: our own code over a simulated PostgreSQL, clock and network, replayed by a seed."""
