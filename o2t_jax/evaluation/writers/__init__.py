"""Results (`o2t_jax.results`) in formats for people and programs: text, JSON, CSV, PNG, films, a run's folder, HTML."""
