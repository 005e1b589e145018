"""A plugin of pytest: a failing example is found, not made smaller, and it is the same in each run."""

from hypothesis import Phase, settings

settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")
