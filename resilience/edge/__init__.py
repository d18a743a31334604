"""What touches the world: probes, processes, files and notebooks."""
