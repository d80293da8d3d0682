"""The joint space: what is said and what is seen as vectors of one space (paper sections 3 to 5)."""
