"""The image: its recipe and what is demanded of it, as files. Nothing here runs an engine."""
