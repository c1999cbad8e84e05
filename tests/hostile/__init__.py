"""Bad input: hostile files and requests through every door; the corpus is made by code, case by case."""
