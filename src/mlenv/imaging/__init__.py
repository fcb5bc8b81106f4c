"""From a lock to an image: what it starts from, its layers, and who puts them together."""
