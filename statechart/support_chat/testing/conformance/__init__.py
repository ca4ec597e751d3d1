"""The suites that find out whether an adapter keeps its port, clause by clause."""
