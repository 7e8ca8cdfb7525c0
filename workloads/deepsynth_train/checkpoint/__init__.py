"""Checkpoints that can be trusted: written to a staging folder, hashed, committed by one rename, verified before use.

    folder/                         who writes it
      owner.json                    rank 0, at the start: the run, its fingerprint and the attempt that may commit
      datasets.json                 rank 0, before the first step: the dataset revisions that the run reads
      step-120/                     a committed checkpoint
        shards/                     every rank its share: model and optimizer, torch.distributed.checkpoint format
        model/                      rank 0: what `from_pretrained` opens
        state.json  metrics.jsonl   rank 0: the trainer's own counters; the curve up to this step
        manifest.json               rank 0, last: size and sha256 of every other file, sha256 of its own fields
        evaluation.json             rank 0, after the save: what was measured at this step, sha256 of its own fields
      step-160.tmp-attempt-3/       an unfinished save, or one that is being deleted; safe to delete
      step-80.corrupt-attempt-3/    failed verification when attempt 3 loaded it
      latest  best                  rank 0, after each save: names of folders for users and tools; the code ignores them
      reports/                      the launcher, at its end: one report per attempt and node, stacks of a hang

folder.py is the interface to the trainer. What a tensor means, and when to save, does not belong here.
Everything but folder, load, save, shards and ranks is free of torch, because the launcher imports it.
"""
