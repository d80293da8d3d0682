"""Facts -> the page: one HTML document that fetches nothing, for a phone, for print and for the dark.

Every word that comes from outside (titles, captions, reasons, paths) is escaped where it enters.
"""

import json
import re
from collections.abc import Mapping
from html import escape

from tellvision import __version__
from tellvision.report.facts import Facts, Loss, Run
from tellvision.report.markup import bar, count, document, figure, hours, mean, rank, said, share, table, videos
from tellvision.report.pictures import Question, Still
from tellvision.report.plots import histogram, loss_curve
from tellvision.report.reasons import SOURCES, reason, unit

SIZES = {  # of the corpus: what each is called, and how it is written
    "videos": ("videos", count),
    "hours": ("hours", hours),
    "minutes_per_video": ("minutes per video", mean),
    "captions": ("captions", count),
    "clips": ("clips", count),
    "clips_per_video": ("clips per video", mean),
    "seconds_per_clip": ("seconds per clip", mean),
    "words_per_caption": ("words per caption <small>without stop words</small>", mean),
}
BY = {"speech": "by what is said", "picture": "by what is seen", "fused": "by what is said and seen"}
RECALLS = ("R@1", "R@5", "R@10")
MARKS = {"moment": "✓ the moment", "video": "same video", "": ""}


def render(facts: Facts, made_from: str) -> str:
    """The whole document.

    Args:
        facts: what it says.
        made_from: names the artefacts it was made from; kept at its very beginning.
    """
    sections = {
        "What went in": _went_in(facts),
        "What was left out, and why": _left_out(facts),
        "A few clips": _clips(facts.stills),
        "Learning": _learning(facts.run),
        "Finding a caption’s clip in unseen videos": _retrieval(facts.run),
        "What to search by": _comparison(facts),
        "Questions it had never seen": _questions(facts),
        "How it was made": _configs(facts.configs),
    }
    return document(
        f"{_name(facts)}: narrated videos",
        header=_header(facts),
        body="\n".join(f"<section>\n<h2>{title}</h2>\n{said}\n</section>" for title, said in sections.items()),
        footer=f"Made by tellvision {__version__} from the finished artefacts of a run. Where scores tie, the "
        "wrong answers count as better.",
        made_from=made_from,
    )


def _name(facts: Facts) -> str:
    return facts.folder.name or str(facts.folder)


def _header(facts: Facts) -> str:
    searched, retrieval = facts.searched, facts.run.retrieval
    tiles = [
        (count(searched.videos), "videos"),
        (hours(searched.hours), "hours"),
        (count(searched.clips), "clips"),
    ]
    if retrieval:
        found, chance = (retrieval[row]["R@10"] for row in ("text_to_video", "chance"))
        said = f"of unseen captions find their clip among the first ten; by chance {chance:.0%}"
        tiles.append((f"{found:.0%}", said))
    shown = "\n".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for value, label in tiles)
    lead = f"{videos(facts.found)} found; {count(searched.videos)} can be searched, {BY[facts.search_by]}."
    return f"""<header>
<p class="kind">Data set card</p>
<h1>{escape(_name(facts))}</h1>
<p class="lead">{lead}</p>
<dl class="tiles">
{shown}
</dl>
</header>"""


def _went_in(facts: Facts) -> str:
    here, paper = facts.statistics, facts.statistics["paper"]
    rows = [
        (label, shown(here[key]), _middle_half(here["quartiles"].get(key)), shown(paper[key]))
        for key, (label, shown) in SIZES.items()
    ]
    shares = _shares("Where the words come from", {SOURCES.get(k, k): n for k, n in here["sources"].items()})
    return f"""<div class="pair"><div>
{table(["", "here", "middle half", "HowTo100M"], rows)}
<p class="note">Videos with clips; beside them the corpus of the paper (Miech et al. 2019, section 3). There a clip
is as long as its line; here it may have grown. Half of all lie in the middle half.</p>
</div><div>{shares}{_histograms(here["histograms"]) if here["clips"] else ""}</div></div>"""


def _middle_half(quartiles: list[float] | None) -> str:
    return "" if quartiles is None else f"{rank(quartiles[0])} – {rank(quartiles[2])}"


def _shares(title: str, numbers: Mapping[str, int]) -> str:
    total = sum(numbers.values())
    if not total:
        return ""
    parts, legend = "", ""
    for place, (name, number) in enumerate(numbers.items()):
        part = min(place, 3)
        parts += f'<i class="part{part}" style="flex:{number}"></i>'
        legend += (
            f'<li><i class="part{part}"></i>{escape(name) or "not known"} <b>{share(number / total)}</b></li>'
        )
    return f'<h3>{title}</h3>\n<div class="stack">{parts}</div>\n<ul class="legend">{legend}</ul>'


def _histograms(counted: Mapping[str, Mapping[str, list[float]]]) -> str:
    labels = {"seconds_per_clip": "seconds per clip", "words_per_caption": "words per caption, without stop words"}
    plots = [histogram(counted[key]["from"], counted[key]["counts"], label) for key, label in labels.items()]
    return "".join(f'\n<figure class="plot bars">{plot}</figure>' for plot in plots)


def _left_out(facts: Facts) -> str:
    lost = sum(loss.videos for loss in facts.lost)
    said = f"<p>Of {videos(facts.found)} {count(lost) if lost else 'none'} had to be left out.</p>\n"
    said += "\n".join(_loss(loss, facts.found) for loss in facts.lost)
    rows = [
        (reason(name), unit(stage, name), count(number))
        for stage, reasons in facts.statistics["dropped"].items()
        for name, number in sorted(reasons.items())
    ]
    if not rows:
        return f"{said}\n<p>Within the videos nothing that is said was dropped.</p>"
    return f"{said}\n<h3>Within the videos</h3>\n{table(['reason', 'what', 'how many'], rows)}"


def _loss(loss: Loss, found: int) -> str:
    examples = [_example(video, detail) for video, detail in loss.examples]
    if loss.videos > len(examples):
        examples.append(f"and {count(loss.videos - len(examples))} more")
    listed = "".join(f"<li>{one}</li>" for one in examples)
    return f"""<div class="loss"><p><b>{count(loss.videos)}</b> {reason(loss.reason)}</p>
{bar(loss.videos / max(found, 1))}<ul>{listed}</ul></div>"""


def _example(video: str, detail: str) -> str:
    """The video and what is wrong with it, its name once."""
    name = f"<b>{escape(video)}</b>"
    around = re.split(rf"(?<!\w){re.escape(video)}(?!\w)", detail)
    if len(around) > 1:
        return name.join(map(escape, around))
    return f"{name}: {escape(detail)}" if detail else name


def _clips(stills: list[Still]) -> str:
    if not stills:
        return "<p>There is no clip to show.</p>"
    pictures = "\n".join(map(figure, stills))
    return f"""<p class="note">Taken at even distances, each from the middle of its video.</p>
<div class="grid">
{pictures}
</div>"""


def _learning(run: Run) -> str:
    if not run.learned:
        return f"<p>Nothing was learned: {escape(run.why.rstrip('.'))}.</p>"
    said = f"<p>{videos(run.training)} to learn from, {count(run.held_out)} kept out to measure on.</p>"
    if not run.losses:
        return said
    first, last = run.losses[0], run.losses[-1]
    return f"""{said}
<figure class="plot">{loss_curve(run.losses)}
<figcaption>Mean loss of every epoch: {first:.4f} in the first, {last:.4f} in the last of {len(run.losses)}.
</figcaption></figure>"""


def _figures(labelled: Mapping[str, Mapping[str, float]], chosen: int) -> str:
    """A table of label -> figures; the bars show R@10 beside the best."""
    best = max(figures["R@10"] for figures in labelled.values()) or 1.0
    rows = [
        (
            label,
            *(share(figures[recall]) for recall in RECALLS),
            bar(figures["R@10"] / best),
            rank(figures["MedR"]),
        )
        for label, figures in labelled.items()
    ]
    return table(["", *RECALLS, "", "median rank"], rows, chosen)


def _retrieval(run: Run) -> str:
    if not run.learned:
        return "<p>There is no learned model to measure.</p>"
    if not run.retrieval:
        return (
            "<p>Nothing was measured: the videos kept out of training hold fewer than two clips to tell apart.</p>"
        )
    labels = {
        "text_to_video": "the learned picture",
        "shuffled": "captions shuffled (control)",
        "chance": "chance",
    }
    labelled = {label: run.retrieval[row] for row, label in labels.items()}
    return f"""<p>Each caption of {videos(run.retrieval["videos"])} that training never saw asks for its own clip
among {count(run.retrieval["clips"])}, by the picture alone. In the control another clip is the right one: it
should do no better than chance.</p>
{_figures(labelled, chosen=0)}"""


def _comparison(facts: Facts) -> str:
    compared = facts.comparison
    why = f"<p>{escape(facts.why)}</p>"
    if not compared["systems"]:
        return why
    picture = compared["model"]
    chosen = {"speech": "speech", "picture": picture, "fused": f"{picture} + speech"}[facts.search_by]
    systems = sorted(compared["systems"].items(), key=lambda item: (item[0] == "chance", -item[1]["R@10"]))
    labelled = {
        escape(_system(name)) + (" <small>chosen</small>" if name == chosen else ""): figures
        for name, figures in systems
    }
    return f"""{why}
{_figures(labelled, chosen=[name for name, _ in systems].index(chosen))}
<p class="note">{count(compared["questions"])} lines of {videos(compared["videos"])} kept out of training ask for a
clip that holds them, among {count(compared["clips"])}. A line that asks is taken out of the narration, and the
speech of a clip is what else is said within ten seconds of it: otherwise speech would win by quoting. Shuffled are
the same vectors on clips in another order. A picture that is not clearly better than that cannot be chosen.</p>"""


def _system(name: str) -> str:
    if name in ("speech", "chance"):
        return {"speech": "what is said", "chance": "chance"}[name]
    picture, _, rest = name.partition(" ")
    return f"{picture} picture" + {"+ speech": " and what is said", "shuffled": ", shuffled (control)"}.get(
        rest, ""
    )


def _questions(facts: Facts) -> str:
    if not facts.has_model:
        return "<p>There is no model to ask.</p>"
    if not facts.questions:
        return (
            "<p>Nothing was asked: no video was kept out of training, or their clips cannot be told apart, or no "
            "word is said in them that the model knows.</p>"
        )
    asked = "\n".join(map(_question, facts.questions))
    return f"""<p class="note">Captions of videos kept out of training, taken at even distances and not by how well
they went, asked of the pictures of those videos alone. Below each are the moments that fit best.</p>
{asked}"""


def _question(question: Question) -> str:
    hits = "\n".join(figure(hit.still, hit.right, MARKS[hit.right]) for hit in question.hits)
    place = f"its own clip stands at place {count(question.rank)} of {count(question.candidates)}"
    return f"""<article>
<div class="asked">{figure(question.asked)}<p><q>{said(question.asked.text)}</q><small>{place}</small></p></div>
<div class="grid hits">
{hits}
</div>
</article>"""


def _configs(configs: Mapping[str, object]) -> str:
    text = json.dumps(configs, indent=2, sort_keys=True, ensure_ascii=False)
    return f"<details><summary>The full configuration of every stage</summary><pre>{escape(text)}</pre></details>"
