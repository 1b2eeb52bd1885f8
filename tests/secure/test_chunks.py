"""The tests of that name, over TLS."""

from tests.conformance.test_chunks import *  # noqa: F403 - all of them
