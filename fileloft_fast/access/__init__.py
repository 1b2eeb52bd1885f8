"""Access: who may do what to which upload, and how much of it."""
