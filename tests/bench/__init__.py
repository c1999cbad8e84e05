"""Tests of the benchmark: that its figures are what it says they are."""
