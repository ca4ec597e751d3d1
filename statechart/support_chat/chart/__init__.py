"""The language of charts, their validation, and the machine that runs them."""
