"""The clauses of a transport and its links."""
