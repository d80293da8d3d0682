"""Finding the moment: an index over clips, ranking by speech and picture, the page."""

from tellvision.search.choice import compare
from tellvision.search.index import Index, Video, build
from tellvision.search.ranking import TextModel, load_model, search

__all__ = ["Index", "TextModel", "Video", "build", "compare", "load_model", "search"]
