"""The renderer for the host's CPU: scenes drawn by OpenCV."""
