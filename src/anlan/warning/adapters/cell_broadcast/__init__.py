"""Cell broadcast."""
