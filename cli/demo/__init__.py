"""The demonstration: two invented nations and a CEN sink on one machine, doing the whole work of a node."""
