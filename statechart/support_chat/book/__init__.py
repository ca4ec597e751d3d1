"""What a session knows beside its state, in frozen values changed by pure functions."""
