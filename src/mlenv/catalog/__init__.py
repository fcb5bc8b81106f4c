"""The facts mlenv decides by: published metadata first, curated rows for what no wheel says."""
