"""Spec and catalog to a plan: which toolkit, which releases, which index, and why; or why not."""
