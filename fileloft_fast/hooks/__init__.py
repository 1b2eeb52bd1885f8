"""Hooks: what others are asked before, and told after, something happens to an upload."""
