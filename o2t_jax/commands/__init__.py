"""The commands: `o2t X`, and in the clone `python -m experiments.X`, run the module X of this folder."""
