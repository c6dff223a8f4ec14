"""The national release system."""
