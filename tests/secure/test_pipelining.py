"""The tests of that name, over TLS."""

from tests.conformance.test_pipelining import *  # noqa: F403 - all of them

# There is no half-close in TLS: a client that ends its side ends the connection.
del test_a_client_that_closes_its_side_still_gets_its_answers  # noqa: F821 - it came by the star
del test_a_large_body_and_a_closed_side_are_answered  # noqa: F821 - likewise
