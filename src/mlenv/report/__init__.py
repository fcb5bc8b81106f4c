"""What a verification asks, and what its answer means: plans, verdicts, causes, and their pages."""
