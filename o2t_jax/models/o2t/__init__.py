"""The O2T network, its loss and its optimiser. Begin at `guide.py`, the guide's own; `network.py` adds metres."""
