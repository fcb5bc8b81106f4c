"""The catalog's files."""
