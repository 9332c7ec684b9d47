"""Pictures of a world: scenes (initial conditions and views), the OpenCV rasteriser, and plugged-in modules."""
