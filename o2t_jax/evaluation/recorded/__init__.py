"""Laws fitted to recordings of real motions by maximum likelihood, with intervals. On the host, in numpy and scipy.

`pendulums.py` (g from two lengths), `drops.py` (one g, a drag for each ball), `planets.py` (the exponent of gravity),
`oscillations.py` (the form of one degree of freedom). All take plain arrays; docs/recorded_states.md has the results.
"""
