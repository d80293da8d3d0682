"""Measuring models: on held-out videos, and on segments whose truth is known."""
