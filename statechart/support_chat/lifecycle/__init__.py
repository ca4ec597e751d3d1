"""The shipped chart: the lifecycle of a support-chat session, in four files of data."""
