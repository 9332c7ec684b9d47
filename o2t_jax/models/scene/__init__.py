"""Networks of described scenes: the pointer parser, and a sentence encoder read from a local folder."""
