"""The tests of that name, over TLS."""

from tests.conformance.test_shutdown import *  # noqa: F403 - all of them

del test_a_sweep_ends_with_the_server  # noqa: F821 - half a minute of files, none of connections
