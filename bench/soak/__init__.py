"""Whether a server stays as it is while clients come and go for long: see `bench.soak.__main__`."""
