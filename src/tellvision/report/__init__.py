"""report.html, the data set card: reads finished artefacts, never their makers."""

from tellvision.report.card import write

__all__ = ["write"]
