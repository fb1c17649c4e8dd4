"""Settings of the tests of market data."""

from hypothesis import settings

settings.register_profile("venuewise", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("venuewise")
