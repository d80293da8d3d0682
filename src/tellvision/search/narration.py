"""What is said, searched by words: a full-text index with English stemming, ranked by BM25.

    questions and narration -> terms:  "Cracking the eggs!" -> crack, egg

A question is cut into terms by the same analyzer as the narration and never parsed, so
quotes, colons, signs and brackets mean nothing in it and nothing can be wrong with it.
Lies in a folder of its own, or in memory where `choice` measures with it.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

ANALYZER = "narration"
LONGEST_TERM = 80  # bytes; what is longer is no word
WRITER_BYTES = 64_000_000

_SCHEMA = (
    tantivy.SchemaBuilder()
    .add_text_field("text", stored=False, tokenizer_name=ANALYZER, index_option="freq")
    .add_integer_field("row", stored=False, indexed=False, fast=True)
    .build()
)


def _analyzer(stop_words: bool) -> Any:
    """Letters and digits, lower-cased, without accents, stemmed; `stop_words` False drops those."""
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )
    if not stop_words:
        builder = builder.filter(tantivy.Filter.stopword("english"))
    return builder.filter(tantivy.Filter.stemmer("english")).build()


def terms(question: str) -> list[str]:
    """What is looked for: the question's stems, each once, without stop words unless it has no other."""
    found = _analyzer(False).analyze(question) or _analyzer(True).analyze(question)
    return list(dict.fromkeys(found))


def spoken_words(question: str, text: str) -> list[str]:
    """The words of `text`, as written there, that answer `question`: what a page marks."""
    asked = set(terms(question))
    words = dict.fromkeys(re.findall(r"\w+", text))
    return [word for word in words if asked.intersection(_analyzer(True).analyze(word))]


class Narration:
    """A full-text index; row i is the i-th text it was built from."""

    def __init__(self, index: Any) -> None:
        index.register_tokenizer(ANALYZER, _analyzer(True))
        index.config_reader("Manual")  # a reader stays on what it opened, whatever happens to the folder
        index.reload()
        self._searcher = index.searcher()

    @classmethod
    def build(cls, texts: Sequence[str], folder: Path | None = None) -> "Narration":
        """Index `texts` in `folder` (made here, must not exist), or in memory without one."""
        if folder is not None:
            folder.mkdir()
        try:
            index = tantivy.Index(_SCHEMA, path=None if folder is None else str(folder))
            index.register_tokenizer(ANALYZER, _analyzer(True))
            writer = index.writer(WRITER_BYTES, num_threads=1)
            for row, text in enumerate(texts):
                writer.add_document(tantivy.Document(text=text, row=row))
            writer.commit()
            writer.wait_merging_threads()
        except ValueError as error:  # what the library makes of a disk that refuses
            raise OSError(f"{folder}: {error}") from None
        return cls(index)

    @classmethod
    def open(cls, folder: Path) -> "Narration":
        """Open what `build` left in `folder`; where nothing may be written, a copy of it."""
        if os.access(folder, os.W_OK):
            return cls(tantivy.Index.open(str(folder)))
        with tempfile.TemporaryDirectory() as copy:  # the library locks what it opens, by a file beside it
            readable = shutil.copytree(folder, Path(copy) / "text")
            readable.chmod(0o700)
            return cls(tantivy.Index.open(str(readable)))

    def __len__(self) -> int:
        """The number of texts."""
        return int(self._searcher.num_docs)

    def search(self, question: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Texts that hold a term of the question, best first.

        Args:
            question: any text; one without a letter or digit finds nothing.
            limit: at most so many.

        Returns:
            rows (m,) int64 and BM25 scores (m,) float32, falling; equal scores by row.
        """
        wanted = [
            (tantivy.Occur.Should, tantivy.Query.term_query(_SCHEMA, "text", term, "freq"))
            for term in terms(question)
        ]
        query = tantivy.Query.boolean_query(wanted)
        hits = self._searcher.search(query, max(1, limit), count=False).hits
        places = self._searcher.fast_field_values("row", [place for _, place in hits])
        rows, scores = np.array(places, np.int64), np.array([score for score, _ in hits], np.float32)
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order]
