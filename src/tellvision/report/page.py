"""Facts -> the page: one HTML document that fetches nothing, for a phone, for print and for the dark.

Every word that comes from outside (titles, captions, reasons, paths) is escaped where it enters.
"""

import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files

from tellvision import __version__
from tellvision.report.facts import HOWTO100M, Facts, Loss, Run
from tellvision.report.pictures import Found, Question, Still
from tellvision.report.plots import loss_curve

REASONS = {
    "no_subtitles": "no subtitles beside the video",
    "empty_subtitles": "subtitles without a word in them",
    "unreadable_subtitles": "subtitles that cannot be read",
    "empty_file": "a file without a byte",
    "unreadable_video": "no video that can be opened",
    "no_picture": "a file without a picture stream",
    "no_frames": "no picture where something is said",
    "no_clips": "no clip left",
    "worker_died": "the work on it crashed, twice",
    "bad_times": "a time that is negative, reversed or no number",
    "after_end": "said after the video has ended",
    "no_words": "nothing that is a word",
}
SOURCES = {
    "typed": "typed by a person",
    "automatic": "recognised automatically",
    "translated": "translated automatically",
    "heard": "heard by speech recognition here",
}
UNITS = {"captions": "lines", "clips": "captions", "pairs": "clips"}
RECALLS = ("R@1", "R@5", "R@10")


def render(facts: Facts, made_from: str) -> str:
    """The whole document.

    Args:
        facts: what it says.
        made_from: names the artefacts it was made from; kept in its head.
    """
    title = f"{facts.folder.name or facts.folder}: narrated videos"
    sections = [
        _section("What went in", _went_in(facts)),
        _section("What was left out, and why", _left_out(facts)),
        _section("A few clips", _clips(facts.stills)),
        _section("Learning", _learning(facts.run)),
        _section("Finding a caption’s clip in unseen videos", _retrieval(facts.run)),
        _section("What to search by", _comparison(facts)),
        _section("Questions it had never seen", _questions(facts)),
        _section("How it was made", _configs(facts)),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta name="tellvision-made-from" content="{escape(made_from)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{files(__package__).joinpath('page.css').read_text(encoding='utf-8')}</style>",
            _header(facts),
            "<main>",
            *sections,
            "</main>",
            f"<footer>tellvision {__version__}, from the finished artefacts of a run. Shares are of all "
            "questions; ties count against the system.</footer>",
            "</html>\n",
        ]
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>"


def _header(facts: Facts) -> str:
    corpus, run = facts.corpus, facts.run
    tiles = [
        (_count(corpus.videos), "videos"),
        (_hours(corpus.hours), "hours"),
        (_count(corpus.clips), "clips"),
    ]
    if run.retrieval:
        found, chance = (run.retrieval[row]["R@10"] for row in ("text_to_video", "chance"))
        tiles.append((_share(found), f"found among the first ten, by chance {_share(chance)}"))
    shown = "\n".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for value, label in tiles)
    return (
        '<header>\n<p class="kind">Data set card</p>\n'
        f"<h1>{escape(facts.folder.name or str(facts.folder))}</h1>\n"
        f'<p class="lead">{escape(facts.why)}</p>\n<dl class="tiles">\n{shown}\n</dl>\n</header>'
    )


def _went_in(facts: Facts) -> str:
    here, paper = facts.corpus, HOWTO100M
    rows = [
        ("videos", _count(here.videos), _count(paper.videos)),
        ("hours", _hours(here.hours), _hours(paper.hours)),
        ("minutes per video", _number(here.minutes_per_video), _number(paper.minutes_per_video)),
        ("captions", _count(here.captions), _count(paper.captions)),
        ("clips", _count(here.clips), _count(paper.clips)),
        ("clips per video", _number(here.clips_per_video), _number(paper.clips_per_video)),
        ("seconds per clip", _number(here.seconds_per_clip), _number(paper.seconds_per_clip)),
        (
            "words per caption <small>without stop words</small>",
            _number(here.words_per_caption),
            _number(paper.words_per_caption),
        ),
    ]
    table = _table(["", "here", "HowTo100M"], rows)
    note = (
        "<p class=note>Beside it the corpus of the paper (Miech et al. 2019, section 3). Clips here are grown to a "
        "least length, there a clip is as long as its line.</p>"
    )
    return table + note + _sources(facts.sources)


def _sources(sources: Mapping[str, int]) -> str:
    total = sum(sources.values())
    if not total:
        return ""
    parts = "".join(f'<i style="flex:{n}" class="part{place}"></i>' for place, n in enumerate(sources.values()))
    legend = "".join(
        f'<li><i class="part{place}"></i>{escape(SOURCES.get(source, source))} '
        f"<b>{_share(n / total)}</b></li>"
        for place, (source, n) in enumerate(sources.items())
    )
    return f'<h3>Where the words come from</h3>\n<div class="stack">{parts}</div>\n<ul class="legend">{legend}</ul>'


def _left_out(facts: Facts) -> str:
    lost = sum(loss.videos for loss in facts.lost)
    if lost:
        said = f"<p>{_count(lost)} of {_videos(facts.found)} cannot be searched.</p>"
        said += "".join(_loss(loss, facts.found) for loss in facts.lost)
    else:
        said = f"<p>Nothing: all of {_videos(facts.found)} can be searched.</p>"
    if facts.dropped:
        rows = [
            (f"{escape(REASONS.get(reason, _plain(reason)))} <code>{escape(reason)}</code>", UNITS[stage], _count(n))
            for (stage, reason), n in facts.dropped.items()
        ]
        said += "<h3>Within the videos</h3>" + _table(["reason", "what", "how many"], rows)
    else:
        said += "<p>Within the videos no line and no clip was dropped.</p>"
    return said


def _loss(loss: Loss, found: int) -> str:
    named = "".join(
        f"<li><b>{escape(video)}</b>{': ' + escape(detail) if detail else ''}</li>" for video, detail in loss.examples
    )
    more = loss.videos - len(loss.examples)
    rest = f"<li>and {_count(more)} more</li>" if more else ""
    return (
        f'<div class="loss"><p><b class="number">{_count(loss.videos)}</b> '
        f"{escape(REASONS.get(loss.reason, _plain(loss.reason)))} <code>{escape(loss.reason)}</code></p>"
        f"{_bar(loss.videos / max(found, 1))}<ul>{named}{rest}</ul></div>"
    )


def _clips(stills: list[Still]) -> str:
    if not stills:
        return "<p>There is no clip to show.</p>"
    return (
        '<p class="note">Taken at even distances, each from the middle of its video.</p>\n'
        f'<div class="grid">\n{chr(10).join(map(_figure, stills))}\n</div>'
    )


def _figure(still: Still, mark: str = "") -> str:
    if still.picture:
        picture = f'<img src="{still.picture}" alt="" loading="lazy">'
    else:
        picture = '<span class="gone">the picture can no longer be read</span>'
    badge = f"<b>{mark}</b>" if mark else ""
    return (
        f'<figure{" class=right" if mark else ""}><div class="shot">{picture}{badge}'
        f"<time>{_clock(still.start)}</time></div><figcaption>{escape(still.text)}"
        f"<cite>{escape(still.title)}</cite></figcaption></figure>"
    )


def _learning(run: Run) -> str:
    if not run.learned:
        return f"<p>Nothing was learned: {escape(run.why)}. The videos are searched by what is said in them.</p>"
    said = f"<p>{_videos(run.training)} to learn from, {_count(run.held_out)} kept out to measure on.</p>"
    if not run.losses:
        return said
    return (
        f'{said}\n<figure class="plot">{loss_curve(run.losses)}'
        f"<figcaption>Mean loss of every epoch: {run.losses[0]:.4f} in the first, {run.losses[-1]:.4f} in the last "
        f"of {len(run.losses)}. Zero would be every pair ahead of every wrong one by the margin.</figcaption></figure>"
    )


def _retrieval(run: Run) -> str:
    if not run.learned:
        return "<p>There is no model to measure.</p>"
    if not run.retrieval:
        return "<p>Nothing was measured: the videos kept out of training hold fewer than two clips to tell apart.</p>"
    names = {"text_to_video": "the learned picture", "shuffled": "captions shuffled (control)", "chance": "chance"}
    rows = [_figures(label, run.retrieval[row]) for row, label in names.items()]
    return (
        f"<p>Each caption of {_videos(run.retrieval['videos'])} that training never saw asks for its own clip among "
        f"{_count(run.retrieval['clips'])}, by the picture alone. The control gives each caption another clip’s place as the "
        "right one: it should be no better than chance.</p>\n" + _table(_HEAD, rows, chosen=0)
    )


_HEAD = ["", *RECALLS, "median rank", ""]


def _figures(label: str, figures: Mapping[str, float]) -> tuple[str, ...]:
    return (
        label,
        *(_share(figures[recall]) for recall in RECALLS),
        _rank(figures["MedR"]),
        _bar(figures["R@10"]),
    )


def _comparison(facts: Facts) -> str:
    compared = facts.comparison
    said = f"<p>{escape(facts.why)}</p>"
    if not compared.get("systems"):
        return said
    name = compared["model"]
    chosen = {"speech": "speech", "picture": name, "fused": f"{name} + speech"}[facts.search_by]
    systems = sorted(compared["systems"].items(), key=lambda item: (item[0] == "chance", -item[1]["R@10"]))
    rows = [_figures(escape(_system(system)), figures) for system, figures in systems]
    return (
        f"{said}\n{_table(_HEAD, rows, chosen=[system for system, _ in systems].index(chosen))}\n"
        f'<p class="note">{_count(compared["questions"])} lines of {_videos(compared["videos"])} kept out of '
        f"training ask for their clip among {_count(compared['clips'])}. A line that asks is taken out of the "
        "narration, and a clip’s speech is what else is said within ten seconds of it: otherwise speech would win by "
        "quoting. Shuffled: the same vectors on clips in another order.</p>"
    )


def _system(name: str) -> str:
    if name == "speech":
        return "what is said"
    if name.endswith(" + speech"):
        return f"{name.removesuffix(' + speech')} picture and what is said"
    if name.endswith(" shuffled"):
        return f"{name.removesuffix(' shuffled')} picture, shuffled (control)"
    return name if name == "chance" else f"{name} picture"


def _questions(facts: Facts) -> str:
    if not facts.questions:
        if facts.comparison.get("systems") and facts.run.learned:
            return "<p>No caption of a held-out video holds a word that the model knows.</p>"
        return "<p>There is no model, or no video was kept out of training: nothing to ask.</p>"
    return (
        '<p class="note">Captions of videos kept out of training, taken at even distances and not by how well they '
        "went, asked of the pictures of those videos alone. Shown is the best moment of each of the best videos.</p>\n"
        + "\n".join(map(_question, facts.questions))
    )


def _question(question: Question) -> str:
    hits = "\n".join(map(_hit, question.hits))
    return (
        f'<article><div class="asked">{_figure(question.asked)}<p><q>{escape(question.asked.text)}</q>'
        f"<small>its own clip stands at place {_count(question.rank)} of {_count(question.candidates)}</small></p></div>"
        f'<div class="grid hits">\n{hits}\n</div></article>'
    )


def _hit(found: Found) -> str:
    return _figure(found.still, {"moment": "✓ the moment", "video": "the right video"}.get(found.right, ""))


def _configs(facts: Facts) -> str:
    text = json.dumps(facts.configs, indent=2, sort_keys=True, ensure_ascii=False)
    return f"<details><summary>The full configuration of every stage</summary><pre>{escape(text)}</pre></details>"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]], chosen: int | None = None) -> str:
    """A table of cells that are HTML already."""
    lines = [
        f"<tr{' class=chosen' if place == chosen else ''}><th scope=row>{row[0]}</th>"
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for place, row in enumerate(rows)
    ]
    columns = "".join(f"<th scope=col>{cell}</th>" for cell in head)
    return f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{share:.1%}"></i></span>'


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _videos(number: int) -> str:
    return f"{_count(number)} video{'' if number == 1 else 's'}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _rank(rank: float) -> str:
    return f"{rank:,.1f}".removesuffix(".0")


def _share(share: float) -> str:
    return f"{share:.1%}" if share < 0.995 else f"{share:.0%}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _plain(reason: str) -> str:
    return reason.replace("_", " ")
