"""How cost grows with the size of uploads, the number of connections, and that of uploads."""
