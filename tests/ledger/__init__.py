"""Tests of the ledger: on a real PostgreSQL, with servers and sealers that are killed, and rows that are forged."""
