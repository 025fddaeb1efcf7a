"""The search: which recipes to try, and what they are worth."""
