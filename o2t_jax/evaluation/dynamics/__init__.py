"""Measurements of dynamics models on states: rollouts, energy and phase, the law read off."""
