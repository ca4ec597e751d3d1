"""How hard the random tests look: `ci` replays the same examples everywhere, `nightly` looks for new ones.

`pytest --hypothesis-profile=nightly` chooses; what it finds it prints as a blob that `@reproduce_failure` replays.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False, max_examples=2000, stateful_step_count=60)
settings.load_profile("ci")
