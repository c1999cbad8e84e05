"""The stored form of every event ever stored, read by a test for ever: `events.jsonl` only grows.

A line holds the wire name, the stored bytes in hex, and what they decode to. It is never changed or taken out: the
bytes lie in ledgers and at peers. `vocabularies.jsonl` does the same for the values of enumerations.
`python -m tests.domain.golden` adds lines for what has none yet.
"""
