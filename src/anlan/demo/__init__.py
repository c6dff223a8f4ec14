"""The demonstration city, the replays of documented events, and the figures of `anlan bench`."""
