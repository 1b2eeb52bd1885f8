"""The tests of that name, over TLS."""

from tests.conformance.test_creation_with_upload import *  # noqa: F403 - all of them
