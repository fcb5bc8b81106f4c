"""Coming in: what people have already, read as the draft of a spec. Pure; each reader a module."""
