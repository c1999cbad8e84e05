"""Importing files: readers, mappings, what a row means, and what the ledger is told."""
