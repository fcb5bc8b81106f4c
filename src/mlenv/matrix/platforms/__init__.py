"""A planned matrix in the words of CI platforms and clusters: a module for each, pure."""
