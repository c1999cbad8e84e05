"""The write side: the only door to the event store; keys, seals and proofs.

Everything downstream reads sealed positions and nothing else.
"""
