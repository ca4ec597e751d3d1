"""The clauses of a token provider."""
