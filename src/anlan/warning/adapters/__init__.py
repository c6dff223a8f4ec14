"""One folder per way of reaching people; add a folder with adapter.py to add a channel."""
