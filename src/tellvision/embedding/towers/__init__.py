"""The parts that the two towers are made of."""
