"""What clients may ask, independent of the wire it came over."""
