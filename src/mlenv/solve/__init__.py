"""A stack to files that fit: ask the solver, look at its answer, and ask again where needed."""
