"""Draws a folder of narrated how-to videos whose truth is known, for demo and tests.

Reads nothing; writes OUT/<id>.mp4 (H.264, silent), OUT/<id>.en.vtt (YouTube's rolling form)
and, last, OUT/truth.jsonl. Videos are independent of each other and of the number of
workers; one that is finished carries a mark of what it was drawn from and is kept.
"""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import av
from PIL import Image

from tellvision.draw import kitchen, workshop
from tellvision.draw.pen import HEIGHT, WIDTH, Pen
from tellvision.draw.phrases import OUTDOORS
from tellvision.draw.scene import Look, Motion, Scene
from tellvision.draw.story import DrawConfig, Story, rolling_vtt, tell
from tellvision.records import InputError, Skip
from tellvision.runners import ProgressCallback, Result, map_items, no_progress
from tellvision.store import atomic_write

LOOK = 1  # raise it when the drawings change, so that no finished video of an older look is kept
FINER = 2  # the canvas is drawn so many times larger than the frame, and scaled down smoothly

Job: TypeAlias = tuple[Story, DrawConfig, str, Path]  # what a video is drawn from, and the folder

STEPS: dict[str, Callable[[Pen, Look], Motion]] = {
    "boil the water": kitchen.boil_water,
    "put the tea bag in the cup": kitchen.dip_tea_bag,
    "pour the hot water into the cup": kitchen.pour_tea,
    "stir the tea": kitchen.stir_tea,
    "wipe the table": kitchen.wipe_table,
    "pour the flour into the bowl": kitchen.pour_flour,
    "pour the water into the bowl": kitchen.pour_water,
    "roll the dough": kitchen.roll_dough,
    "bake the bread": kitchen.bake_bread,
    "slice the bread": kitchen.slice_bread,
    "fill the pot with soil": kitchen.fill_pot,
    "plant the flower": kitchen.plant_flower,
    "water the flower": kitchen.water_flower,
    "trim the leaves": kitchen.trim_leaves,
    "sand the fence": workshop.sand_fence,
    "hammer the nails": workshop.hammer_nails,
    "open the paint can": workshop.open_can,
    "stir the paint": workshop.stir_paint,
    "paint the fence": workshop.paint_fence,
    "loosen the nuts": workshop.loosen_nuts,
    "jack up the car": workshop.jack_up,
    "put on the wheel": workshop.change_wheel,
    "pump up the tyre": workshop.pump_tyre,
    "saw the board": workshop.saw_board,
    "drill a hole": workshop.drill_hole,
    "drive the screws": workshop.drive_screws,
    "paint the birdhouse": workshop.paint_birdhouse,
    "put the teddy in the box": workshop.pack_teddy,
    "cut the paper": workshop.cut_paper,
    "fold the paper": workshop.fold_paper,
    "tape the paper": workshop.tape_paper,
    "tie the ribbon": workshop.tie_ribbon,
}


def draw(
    out: Path,
    *,
    count: int = 24,
    seed: int = 0,
    config: DrawConfig | None = None,
    workers: int = 2,
    progress: ProgressCallback = no_progress,
) -> None:
    """Draw `count` videos into the folder `out`, which is made where it is missing.

    A line of `truth.jsonl` is one video: id, title, task, duration (seconds), `segments`
    (step, start, end: when it is seen), `lines` (start, end, text, step or null, visible) and
    `words` ([start, word], as in the subtitles). Drawn again after it was killed, it does
    what is left; with a larger `count` it adds to what is there.

    Args:
        out: a folder; videos of another seed or with another id in it are refused.
        count: videos; a multiple of 7 has every task equally often.
        seed: decides everything; equal seeds give equal files.
        config: `DrawConfig()` where None.
        workers: processes; what is drawn does not depend on it.
        progress: called with (videos finished, count) at the start and after each video.

    Raises:
        InputError: `count` or `workers` below 1, `out` is a file, cannot be made, or holds other videos.
    """
    config = DrawConfig() if config is None else config
    for name, value in (("count", count), ("workers", workers)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} has to be a whole number of 1 or more, got {value!r}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: name a folder to draw the videos into")
    stories = [tell(number, seed, config) for number in range(count)]
    strange = sorted({path.stem for path in out.glob("*.mp4")} - {story.id for story in stories})
    if strange:
        raise InputError(f"{out} holds {strange[0]}.mp4, which is not one of these videos: name an empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}): name another folder") from None
    truth, lines = out / "truth.jsonl", "".join(json.dumps(asdict(story)) + "\n" for story in stories)
    if truth.exists() and truth.read_text(encoding="utf-8") != lines:
        truth.unlink()  # while videos change under it, it would not be the truth
    jobs = [(story.id, (story, config, f"{seed}/scene/{n}", out)) for n, story in enumerate(stories)]
    progress(0, count)
    for done, (_, result) in enumerate(map_items(_film, jobs, workers if workers > 1 else 0), 1):
        if isinstance(result, Skip):
            raise result
        progress(done, count)
    atomic_write(truth, lines.encode())


def _film(job: Job) -> Result[None]:
    """Write the subtitles and the video of one story, unless that very video is there."""
    story, config, scene_seed, out = job
    atomic_write(out / f"{story.id}.en.vtt", rolling_vtt(story.lines).encode())
    path = out / f"{story.id}.mp4"
    mark = hashlib.sha256(repr((LOOK, story, config, scene_seed)).encode()).hexdigest()
    if path.exists() and _mark_of(path) == mark:
        return Result(None, mark)
    part = out / f".{story.id}.mp4.part"
    # The index goes to the front (faststart), so that a browser plays before it has the whole file.
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file:
        file.metadata["title"], file.metadata["comment"] = story.title, mark
        # With mbtree x264 reads memory that it never wrote, and equal frames give unequal files.
        options = {"crf": "25", "preset": "veryfast", "threads": "1", "mbtree": "0", "g": str(2 * config.fps)}
        video: Any = file.add_stream("libx264", rate=config.fps, options=options)
        video.width, video.height = config.size
        video.pix_fmt = "yuv420p"
        for image in frames(story, config, scene_seed):
            file.mux(video.encode(av.VideoFrame.from_image(image)))
        file.mux(video.encode())
    os.replace(part, path)
    return Result(None, mark)


def _mark_of(path: Path) -> str | None:
    try:
        with av.open(str(path)) as file:
            return file.metadata.get("comment")
    except av.error.FFmpegError:
        return None


def frames(story: Story, config: DrawConfig, scene_seed: str) -> Iterator[Image.Image]:
    """The frames of a video, one after the other, as RGB images of `config.size`."""
    scene = Scene(random.Random(scene_seed), outdoors=story.task in OUTDOORS)
    light = scene.camera.light(config.size)
    canvas_width = FINER * max(config.size[0], round(config.size[1] * WIDTH / HEIGHT))
    shots: list[tuple[float, float, Callable[[Pen, Look], Motion]]] = []
    now = 0.0
    for segment in story.segments:
        if segment.start > now:
            shots.append((now, segment.start, scene.host))
        shots.append((segment.start, segment.end, STEPS[segment.step]))
        now = segment.end
    shots.append((now, story.duration, scene.host))
    number = 0
    for start, end, step in shots:
        still = Image.new("RGB", (canvas_width, round(canvas_width * HEIGHT / WIDTH)))
        pen = Pen(still)
        scene.backdrop(pen)
        motion = step(pen, scene.look)
        while number < round(end * config.fps):
            t = number / config.fps
            canvas = still.copy()
            motion(Pen(canvas), t - start, min(1.0, max(0.0, (t - start) / (end - start))))
            yield scene.camera.film(canvas, light, t)
            number += 1
