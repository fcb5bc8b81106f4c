"""Solvers: each module writes one solver's input, reads its answer, and tells its failures apart."""
