"""A checkpoint as one HTML page."""
