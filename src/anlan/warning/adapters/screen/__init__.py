"""LED screens."""
