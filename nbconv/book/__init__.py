"""What belongs to the book alone: its experiments."""
