"""What runs inside a target: standard library only, and nothing of mlenv."""
