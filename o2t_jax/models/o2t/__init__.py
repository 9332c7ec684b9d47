"""The O2T network, its loss and its optimiser; `network.py` is where to begin."""
