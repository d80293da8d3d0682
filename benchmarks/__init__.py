"""How fast it is, as ratios measured in one run: `python -m benchmarks [NAME ...] [--json]`.

One file per benchmark; `figures.py` is how they measure and report, `corpus.py` and `reference_loader.py`
are what they measure with. How good models are is another question: `tellvision evaluate`.
"""
