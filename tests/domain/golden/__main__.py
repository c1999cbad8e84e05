"""Adds golden lines for what has none yet (`python -m tests.domain.golden`); it appends and never rewrites."""

import sys

from tests.domain.golden.stored import append_missing, append_missing_values


def main() -> int:
    """Append what is missing and say what was added."""
    added = [*append_missing(), *append_missing_values()]
    sys.stdout.write(f"added {', '.join(added)}\n" if added else "the golden files are complete: nothing to add\n")
    return 0


sys.exit(main())
