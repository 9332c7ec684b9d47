"""The networks of system `motion`: selective state-space layers, text to motion, a physics gate."""
