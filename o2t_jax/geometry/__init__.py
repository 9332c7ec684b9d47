"""Pure geometry: the pin-hole camera, rays, triangulation, the frame of camera 1."""
