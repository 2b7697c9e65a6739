"""Training: the loop, its settings, schedules, history and monitors."""
