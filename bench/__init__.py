"""Benchmarks: ratios of medians taken in one run beside a baseline."""
