"""The clone's name for the package's commands: `python -m experiments.train` runs `o2t_jax.commands.train`.

Code imports `o2t_jax.commands`: a module imported from here would be a second copy.
"""

from o2t_jax import commands

__path__ = commands.__path__
