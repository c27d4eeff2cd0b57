"""What a delivery costs, against the least that it can cost: see `bench.delivery.__main__`."""
