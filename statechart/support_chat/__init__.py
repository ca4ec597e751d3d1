"""The lifecycle of a support-chat session."""
