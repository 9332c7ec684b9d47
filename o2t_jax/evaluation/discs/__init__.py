"""What tracks of discs tell: their collisions, and restitution, mass ratio and friction with intervals; numpy, scipy.

`sliding.py` (one disc between two events), `contacts.py` (where two discs may have met), `encounter.py` (the model of a
collision), `meeting.py` (one in the tracks, or why not), `pooled.py` (intervals), `inference.py` (all of a recording).
They take plain arrays; docs/discs_recorded.md says what is reported.
"""
