"""Events on their way to the hooks, on disk before what they tell of is true.

docs/internals/outbox.md says what a file looks like, docs/adr/0016 why.
"""
