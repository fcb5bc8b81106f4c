"""The main job: every target of a spec to a verdict, and the good ones to their folders."""
