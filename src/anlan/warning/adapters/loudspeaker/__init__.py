"""Village loudspeakers."""
