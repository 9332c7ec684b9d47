"""Training samples that are drawn, cast, accepted and kept on the device: `render_backend=device`."""
