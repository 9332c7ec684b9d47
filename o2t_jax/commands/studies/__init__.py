"""Studies: tables over many runs or simulations, one command each; finished runs are skipped."""
