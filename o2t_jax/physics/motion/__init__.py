"""Human motion: skeleton, forward and inverse kinematics, the feature layout, contacts and measures."""
