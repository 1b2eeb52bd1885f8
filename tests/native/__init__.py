"""Tests of the compiled engine, on a loop and with sockets of their own."""
