"""Servers side by side: what is read, in which order they run, and how it is told."""
