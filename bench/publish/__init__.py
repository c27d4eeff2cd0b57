"""What it costs to publish, and to have a bus: see `bench.publish.scenarios`."""
