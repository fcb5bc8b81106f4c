"""The spec: what a person asks for. It reads text and knows no catalog and no machine."""
