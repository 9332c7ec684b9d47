"""The same networks in other libraries, for comparison with ours; nothing outside `benchmarks` needs them."""
