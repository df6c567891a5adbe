"""What clients may ask of the spot market."""
