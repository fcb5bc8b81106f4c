"""mlenv: ML environments that run, from a declarative spec to a verified image."""

__version__ = "0.1.0"
