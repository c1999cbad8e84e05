"""The read side: tables kept in step with the ledger and rebuilt from it at will.

A batch and the position it reached commit together.
"""
