"""Draws a folder of narrated how-to videos whose truth is known, for demo and tests.

Reads nothing; writes OUT/<id>.mp4 (H.264, silent), OUT/<id>.en.vtt (YouTube's rolling form)
and, last, OUT/truth.jsonl. Videos are independent of each other and of the number of
workers; one that is finished carries a mark of what it was drawn from and is kept.
"""

import hashlib
import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
from PIL import Image

from tellvision.draw import kitchen, workshop
from tellvision.draw.pen import HEIGHT, WIDTH, Pen
from tellvision.draw.phrases import OUTDOORS
from tellvision.draw.scene import Look, Motion, Scene
from tellvision.draw.story import DrawConfig, Story, rolling_vtt, tell
from tellvision.records import InputError

LOOK = 1  # raise it when the drawings change, so that no finished video of an older look is kept
FINER = 2  # the canvas is drawn so many times larger than the frame, and scaled down smoothly

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
    progress: Callable[[int, int], None] | None = None,
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
        InputError: `count` or `workers` below 1, `out` is a file, or holds other videos.
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
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(story, config, f"{seed}/scene/{number}", out) for number, story in enumerate(stories)]
    report = progress or (lambda _done, _count: None)
    report(0, count)
    if workers == 1:
        for done, job in enumerate(jobs, 1):
            _film(*job)
            report(done, count)
    else:
        with ProcessPoolExecutor(min(workers, count), mp_context=get_context("spawn")) as pool:
            futures = [pool.submit(_film, *job) for job in jobs]
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                report(done, count)
    _replace(out / "truth.jsonl", "".join(json.dumps(asdict(story)) + "\n" for story in stories))


def _replace(path: Path, text: str) -> None:
    """Write beside it, then rename: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _film(story: Story, config: DrawConfig, scene_seed: str, out: Path) -> None:
    """Write the subtitles and the video of one story, unless that very video is there."""
    _replace(out / f"{story.id}.en.vtt", rolling_vtt(story.lines))
    path = out / f"{story.id}.mp4"
    mark = hashlib.sha256(repr((LOOK, story, config, scene_seed)).encode()).hexdigest()
    if path.exists() and _mark_of(path) == mark:
        return
    part = out / f".{story.id}.mp4.part"
    # The index goes to the front (faststart), so that a browser plays before it has the whole file.
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file:
        file.metadata["title"], file.metadata["comment"] = story.title, mark
        options = {"crf": "25", "preset": "veryfast", "threads": "1", "g": str(2 * config.fps)}
        video: Any = file.add_stream("libx264", rate=config.fps, options=options)
        video.width, video.height = config.size
        video.pix_fmt = "yuv420p"
        for image in frames(story, config, scene_seed):
            file.mux(video.encode(av.VideoFrame.from_image(image)))
        file.mux(video.encode())
    os.replace(part, path)


def _mark_of(path: Path) -> str | None:
    try:
        with av.open(str(path)) as file:
            return file.metadata.get("comment")
    except av.error.FFmpegError:
        return None


def frames(story: Story, config: DrawConfig, scene_seed: str):  # type: ignore[no-untyped-def]
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
