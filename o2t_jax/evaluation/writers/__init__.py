"""Results (`o2t_jax.results`) as what people and programs read: text, JSON, CSV, PNG, films, a run's folder, HTML."""
