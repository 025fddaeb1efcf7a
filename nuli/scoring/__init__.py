"""Scorers: what the search maximises, and the penalties that keep it honest."""
