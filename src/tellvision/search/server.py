"""The page's server: questions, pictures and videos of one index, for this machine only.

    GET /                           the page (page/, no build step, nothing from outside)
    GET /api/search                 query_text, page_limit -> {"data": [hit ...], "search_by", "why"}
    GET /api/index                  what is indexed, what it is searched by, and the figures behind that
    GET /media/VIDEO_ID             the video, with byte ranges
    GET /thumbnail/VIDEO_ID?t=S     the picture at S seconds as JPEG

Ids stand percent-encoded in URLs. A request names an id, never a path: what the index does
not list does not exist. Every error is {"detail": one line}.
"""

import functools
import math
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, JSONResponse

from tellvision import media
from tellvision.records import Hit, InputError, Skip
from tellvision.search.index import Index, stamp_of
from tellvision.search.narration import spoken_words
from tellvision.search.ranking import TextModel, load_model, search

HOST = "127.0.0.1"
HIGHEST_PORT = 65535
LONGEST_QUESTION = 1000  # characters
MOST_HITS = 100
THUMBNAILS = 1024  # kept in memory, some 15 kB each
EXAMPLES, EXAMPLE_WORDS = 6, range(3, 9)
PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Message: TypeAlias = MutableMapping[str, Any]  # ASGI
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class _Shelf:
    """The index being served and its model; taken anew when a build has swapped in another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # its own: pages and pictures need no model, so they do not wait
        self._model: TextModel | None = None
        self._model_of: Index | None = None
        self._index = Index.open(folder)

    def index(self) -> Index:
        with self._lock:
            if stamp_of(self._folder) not in (None, self._index.stamp):  # None: in the middle of a swap
                self._index = Index.open(self._folder)
            return self._index

    def with_model(self) -> tuple[Index, TextModel | None]:
        while True:
            index = self.index()
            with self._loading:
                if self._model_of is index:
                    return index, self._model
                try:
                    self._model = None if index.search_by == "speech" else load_model(index)
                    self._model_of = index
                except InputError:
                    if not index.is_replaced():
                        raise
                    self._reopen(index)  # its folder, and the model in it, went away while it was loaded

    def _reopen(self, index: Index) -> None:
        with self._lock:
            if self._index is index:
                self._index = Index.open(self._folder)


class _Headed:
    """Puts `HEADERS` on every answer; plain ASGI, so that a video streams through untouched."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        async def send_headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, send_headed)


@functools.lru_cache(maxsize=THUMBNAILS)
def _picture(path: Path, changed: int, seconds: float) -> bytes:  # noqa: ARG001  (a changed file: a new entry)
    return media.thumbnail(path, seconds)


def _answer(index: Index, question: str, hit: Hit) -> dict[str, Any]:
    video = index.videos[hit.video_id]
    name = quote(hit.video_id)
    return {
        "video_id": hit.video_id,
        "start": hit.start,
        "end": hit.end,
        "score": hit.score,
        "text": hit.text,
        "title": video.title,
        "spoken": spoken_words(question, hit.text),
        "video_url": f"/media/{name}",
        "thumbnail_url": f"/thumbnail/{name}?t={(hit.start + hit.end) / 2:.2f}",
    }


def _examples(index: Index) -> list[str]:
    """A few short things that are said, from all over the index: questions to begin with."""
    spread = np.linspace(0, index.clips.num_rows - 1, min(1000, index.clips.num_rows))
    said = Counter(index.clips["text"][row].as_py() for row in set(spread.astype(int).tolist()))
    # What is said time and again is chatter; of a long text the middle makes a question.
    once = sorted(_middle(text.split()) for text, times in said.items() if times == 1)
    short = [text for text in once if len(text.split()) in EXAMPLE_WORDS]
    return short[:: max(1, len(short) // EXAMPLES)][:EXAMPLES]


def _middle(words: list[str]) -> str:
    spare = max(0, len(words) - max(EXAMPLE_WORDS)) // 2
    return " ".join(words[spare : len(words) - spare][: max(EXAMPLE_WORDS)])


def create_app(work: Path, name: str = "main") -> FastAPI:
    """The application that serves WORK/index/NAME.

    The model is loaded while the first page is read, so the page is there at once.

    Raises:
        InputError: there is no finished index of that name.
    """
    shelf = _Shelf(work / "index" / name)
    # No generated documentation pages: they would fetch scripts from elsewhere.
    app = FastAPI(title="tellvision", docs_url=None, redoc_url=None, openapi_url=None)
    threading.Thread(target=_warm, args=(shelf,), daemon=True).start()

    def listed(video_id: str) -> Path:
        video = shelf.index().videos.get(video_id)
        if video is None:
            raise HTTPException(404, f"the index lists no video {video_id!r}")
        if not video.path.is_file():
            raise HTTPException(404, f"the file of {video_id!r} is gone: run again to index what is there")
        return video.path

    @app.get("/api/search")
    def api_search(
        query_text: Annotated[str, Query(min_length=1, max_length=LONGEST_QUESTION)],
        page_limit: Annotated[int, Query(ge=1, le=MOST_HITS)] = 10,
    ) -> dict[str, Any]:
        index, model = shelf.with_model()
        hits = search(index, model, query_text, page_limit)
        return {
            "data": [_answer(index, query_text, hit) for hit in hits],
            "search_by": index.search_by,
            "why": index.why,
        }

    @app.get("/api/index")
    def api_index() -> dict[str, Any]:
        index = shelf.index()
        return {
            "name": name,
            "videos": len(index.videos),
            "clips": index.clips.num_rows,
            "hours": math.fsum(video.duration or 0 for video in index.videos.values()) / 3600,
            "search_by": index.search_by,
            "why": index.why,
            "comparison": index.comparison,
            "examples": _examples(index),
        }

    @app.api_route("/media/{video_id:path}", methods=["GET", "HEAD"])
    def video(video_id: str) -> FileResponse:
        return FileResponse(listed(video_id))

    @app.get("/thumbnail/{video_id:path}")
    def thumbnail(video_id: str, t: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0) -> Response:
        path = listed(video_id)
        try:
            picture = _picture(path, path.stat().st_mtime_ns, round(t, 2))
        except (Skip, FileNotFoundError) as error:
            raise HTTPException(404, f"no picture of {video_id!r}: {error}") from None
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/{file_name:path}")
    def page(file_name: str) -> FileResponse:
        files = {"": "index.html"} | {one: one for one in ("page.css", "page.js", "icon.svg")}
        if file_name not in files:
            raise HTTPException(404, "there is no such page")
        return FileResponse(PAGE / files[file_name], headers={"Cache-Control": "no-cache"})

    @app.exception_handler(InputError)
    def refused(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(Exception)
    def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"the server failed: {type(error).__name__}"}, 500, headers=HEADERS)

    app.add_middleware(_Headed)
    return app


def _warm(shelf: _Shelf) -> None:
    try:
        shelf.with_model()
    except Exception as error:  # the first question meets it again, and who asked it is told
        print(f"the model cannot be loaded: {error}", file=sys.stderr)


def serve(work: Path, port: int = 8000, name: str = "main") -> None:
    """Serve WORK/index/NAME at http://127.0.0.1:PORT until interrupted.

    Args:
        work: the work folder.
        port: 0 takes a free one; the address is told on stderr.
        name: of the index.

    Raises:
        InputError: no finished index of that name, or the port is taken or none.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise InputError(f"port {port} is none: choose one of 0..{HIGHEST_PORT} with --port (0: a free one)")
    app = create_app(work, name)
    # A page from elsewhere must not reach this one through a host name of its own.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"port {port} cannot be used ({reason}): choose another with --port") from None
    print(f"Serving {work} at http://{HOST}:{listening.getsockname()[1]} (Ctrl+C ends it)", file=sys.stderr)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none")).run([listening])
