"""The tests of that name, over TLS."""

from tests.conformance.test_interim import *  # noqa: F403 - all of them
