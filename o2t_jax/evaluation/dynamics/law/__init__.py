"""The law of motion read off a trained vector field and off noisy data: its form, its parameters, the next experiment.

Begin at `decision.py` (`decide`: which form, or "cannot tell", or "none of these"). `terms.py` holds the library,
`equations.py` what an equation is and the worlds' own ones, `shooting.py` the fit, `information.py` intervals and
widths, `misfit.py` the test behind "none of these", `form.py` the fit to a field, `design.py` the next experiment.
"""
