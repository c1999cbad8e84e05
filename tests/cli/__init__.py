"""Tests of the command, of the servers it starts, and of the supervisor."""
