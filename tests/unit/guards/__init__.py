"""Guards: what the house must stay like. Each is tried on a made-up bad tree as well."""
