"""Tests of access: signing in, tickets, need-to-know, the processing log."""
