"""Draws narrated how-to videos whose truth is known: pictures, subtitles and times."""

from tellvision.draw.film import DrawConfig, draw

__all__ = ["DrawConfig", "draw"]
