"""tus 1.0.0 without I/O: what a request means, what an upload allows, what the answer says."""
