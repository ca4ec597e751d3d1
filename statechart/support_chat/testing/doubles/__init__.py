"""Doubles of the ports: they record what they are asked, and answer as the test says."""
