"""Tests of the soak: each profile in short, and that each can fail."""
