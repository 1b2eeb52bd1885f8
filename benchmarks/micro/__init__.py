"""Micro-benchmarks: the parts of a request, each as a multiple of a yardstick's time."""
