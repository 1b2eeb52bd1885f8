"""Instructions a request, counted by valgrind: what is too small or too noisy to be timed."""
