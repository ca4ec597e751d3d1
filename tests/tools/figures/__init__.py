"""The figures of `tests/benchmarks/measured.py`: what is measured, beside what, and their page.

Each part says its lines before it measures them (`lines`), so that a test can hold the page to
them.
"""
