"""`python -m benchmarks [NAME ...] [--json]`: measure, print tables, then one JSON object per figure."""

import argparse
import importlib
import sys

from benchmarks import figures

BENCHMARKS = {
    "backbones": "ViT-B/16 and ResNet-152 fed from videos, on a GPU if there is one, against the network alone",
    "captions": "caption files to clips, against webvtt-py reading the same files",
    "decoding": "frames of views, against FFmpeg's decoder alone",
    "extraction": "videos to tracks, against decoding alone, the network alone, the released extractor's way",
    "loading": "training batches, against a loader written the way the reference is",
    "runners": "what a video's hand-over costs: here, in processes, on Ray",
    "runtimes": "one network run in several ways on the processor, against PyTorch in float32",
    "speech": "what is heard: words wrong, lines' starts, speed against faster-whisper called by hand",
    "memory": "training on ten million pooled clips: memory besides the page cache",
    "training": "loading and learning together, against the slower of the two",
    "store": "clips read from the store, against a .npy file per video",
    "step": "a training step, against the matrix product, the memory and a plain step",
}
OWN = {"workouts": "which way to learn finds most, on narrated workouts (options of its own: --help)"}
QUICK = ("extraction", "loading", "step", "store")  # together some minutes on two cores


def main() -> None:
    """Run the benchmarks named on the command line."""
    if sys.argv[1:2] and sys.argv[1] in OWN:
        importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
        return
    listed = "\n".join(f"  {name:<12}{what}" for name, what in (BENCHMARKS | OWN).items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Ratios measured in one run. Without a NAME the quick ones: {', '.join(QUICK)}.\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON lines")
    parser.add_argument("--smallest", action="store_true", help="see that it runs; the figures mean nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"unknown benchmark {unknown[0]!r}: use {', '.join(BENCHMARKS)}")

    lines: list[str] = []
    for name in options.names or QUICK:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        for report in module.measure(module.SMALLEST if options.smallest else module.Size()):
            lines += figures.json_lines(report)
            if not options.json:
                print(figures.table(report), end="\n\n", flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
