"""Benchmarks: ratios of medians, ours beside what somebody would write without us.

Both sides run in one sitting on one machine, turn by turn, on a real PostgreSQL that fsyncs; nothing is measured by
itself. What is left out, and what a rival is spared or charged, is written in docs/reference/benchmarks.md.
"""
