"""``mlenv verify``: a locked folder, an environment of it, and what is thought of the two."""
