"""Two visits to one rigid transform per bone, symmetric in half-way space."""
