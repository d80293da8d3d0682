"""The index, questions to it, and the page."""

from textwrap import shorten
from typing import Annotated, Literal

import tyro

from tellvision.commands.flags import Work, at_work, require_work, say
from tellvision.progress import Progress

Text = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
LINE = 200  # letters of a hit that the terminal shows


def index(work: Work, *, model: str | None = None, name: str = "main") -> None:
    """Build the search of WORK, by what finds best on held-out videos.

    Args:
        work: work folder with a finished training.
        model: a checkpoint to search with beside what was learned here.
        name: of the artefact.
    """
    from tellvision import pipeline

    with at_work(work, name) as at:
        pipeline.build_index(at, given=model, progress=Progress())


def search(
    work: Work,
    text: Text,
    *,
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10,
    by: Literal["speech", "picture", "fused"] | None = None,
    name: str = "main",
    json: bool = False,
) -> None:
    """Find the moments where something is done, best first.

    Args:
        work: work folder of a run.
        text: what is being done, in your own words.
        k: at most so many moments.
        by: what to search by; as the run found best, unless named.
        name: of the index.
        json: print a JSON object per line.
    """
    from tellvision.search import Index, load_model
    from tellvision.search import search as find

    require_work(work)
    index = Index.open(work / "index" / name)
    model = load_model(index) if (by or index.search_by) != "speech" else None
    hits = find(index, model, text, k, by)
    for hit in hits:
        minutes, seconds = divmod(int(hit.start), 60)
        found = {key: getattr(hit, key) for key in ("video_id", "start", "end", "score", "text")}
        say(found, json, f"{minutes}:{seconds:02d}  {hit.video_id}  {shorten(hit.text, LINE)}")
    if not hits and not json:
        print("nothing found: ask with other words")


def serve(work: Work, *, port: int = 8000, name: str = "main") -> None:
    """Serve the search page on this machine until you stop it.

    Args:
        work: work folder of a run.
        port: on 127.0.0.1.
        name: of the index.
    """
    from tellvision.search import server

    require_work(work)
    server.serve(work, port, name)
