"""Tests of the tus room: requests and uploads as values, decisions and answers as values."""
