"""Networks in Flax linen: the O2T model and the parts its sister systems can share."""
