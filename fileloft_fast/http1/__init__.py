"""② HTTP/1.1: bytes to ``RequestHead`` and ``Body``, ``Response`` to bytes; the socket is lent."""
