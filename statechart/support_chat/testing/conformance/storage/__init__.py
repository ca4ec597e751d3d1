"""The clauses of a storage."""
