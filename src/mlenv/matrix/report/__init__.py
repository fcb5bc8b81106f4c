"""What the nights of a matrix say, as a page, Markdown, JUnit, JSON and a badge: pure functions."""
