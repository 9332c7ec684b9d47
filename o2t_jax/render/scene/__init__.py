"""Films of simulated scenes: rays cast in JAX at capsules, boxes and spheres, finished by OpenCV."""
