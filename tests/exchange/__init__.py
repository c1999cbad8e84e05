"""Tests of the exchange: what leaves, to whom, on what premise, and what comes in."""
