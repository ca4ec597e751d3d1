"""Faults for the ports by seed: an adapter that misbehaves, and a log of how."""
