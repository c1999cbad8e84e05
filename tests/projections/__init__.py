"""Tests of the read side, all of them on a real PostgreSQL and through the real ledger."""
