"""What is measured of the O2T system: its law, its predictions, where its errors come from."""
