"""The item-wise stages of a run: what each should hold, and the work on one video.

    scan_videos -> narrate -> cut_clips --+
                -> extract_tracks --------+-> join_pairs

advance.py   one stage brought up to date: what every other module here calls
workplace.py where a run works
videos.py, captions.py, clips.py, tracks.py   the stages; nothing is imported here, since only the last
             needs PyTorch

A stage compares what its folder should hold with what the ledger says it holds and works on the
difference; the hash of its manifest is the input of the next, and a video whose output did not change
starts nothing behind it.
"""
