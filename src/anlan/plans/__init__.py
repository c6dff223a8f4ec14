"""Digital contingency plans: what we agreed to do, and whether its conditions are met now."""
