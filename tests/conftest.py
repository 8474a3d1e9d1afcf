"""How deep Hypothesis searches.

`HYPOTHESIS_PROFILE` names the profile; without it, `ci` where `CI` is set (to anything but nothing), else `dev`.
No profile has a deadline: a slow disk or a busy machine is not a counterexample.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev",  # while writing: a few seconds for the whole suite
    max_examples=50,
    deadline=None,
)
settings.register_profile(
    "ci",  # before landing: deep, and the same examples on every machine
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # shared machines are slow at times
)
settings.register_profile(
    "night",  # unattended: new examples on every run, for as long as it takes
    max_examples=10_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
