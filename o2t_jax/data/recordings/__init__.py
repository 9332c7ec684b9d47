"""Films of real motions: what stands still (`background.py`), what moves (`blobs.py`), and which blobs of neighbouring
frames are one object (`tracks.py`). Classical, without training. docs/recordings.md says how to use it.
"""
