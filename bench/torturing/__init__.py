"""What `bench.torture` does to nuli, a kind of torture a function: (rng, deadline, tries) -> Tally."""
