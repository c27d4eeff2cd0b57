"""What deliveries and connections cost, against the least that they can: see `bench.__main__`."""
