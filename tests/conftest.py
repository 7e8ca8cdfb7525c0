"""How hypothesis looks for examples, for all tests: however slow the machine is, and the same ones each time.

`pytest --hypothesis-profile=explore` looks for new ones.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("explore", derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True)
settings.load_profile("repeat")
