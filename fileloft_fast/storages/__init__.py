"""Named storages: objects at paths, and the tickets by which strangers bring them."""
