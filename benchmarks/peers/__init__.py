"""The same networks written in other libraries, to measure ours against; nothing outside `benchmarks` needs them."""
