"""Clips of the sets of system `video`: pictures with the state and the constants behind them."""
