"""The host's renderer: scenes drawn by OpenCV."""
