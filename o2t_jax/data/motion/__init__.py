"""Human motion as data: made gaits, and readers of BVH, ASF/AMC, KIT-ML and HumanML3D files."""
