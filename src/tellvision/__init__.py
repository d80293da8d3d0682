"""tellvision: learns to connect language and video from narration; searches and measures with it.

    import tellvision
    model = tellvision.load("WORK/runs/main")
    model.encode_text(["crack two eggs into the bowl"])

`load` and `TextVideoModel` bring PyTorch and are imported when first asked for, so that
`import tellvision` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tellvision.embedding.checkpoint import load as load
    from tellvision.embedding.model import TextVideoModel as TextVideoModel

__version__ = "0.1.0"
__all__ = ["TextVideoModel", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from tellvision.embedding.checkpoint import load

        return load
    if name == "TextVideoModel":
        from tellvision.embedding.model import TextVideoModel

        return TextVideoModel
    raise AttributeError(f"module 'tellvision' has no attribute {name!r}")
