"""Solvers: each module writes one's input, reads its answer, and tells its failures apart."""
