"""Where a probe can run: here, in a container, on a node of a cluster; one port, a module each."""
