"""Checkpoints that can be trusted: written to a staging folder, hashed, committed by one rename, verified before use.

    folder/                         who writes it
      owner.json                    rank 0, at the start: the run, its fingerprint and the attempt that may commit
      datasets.json                 rank 0, before the first step: the revisions of datasets and model that it reads
      sample-index.bin              rank 0, before the first step: which samples there are, for later attempts
      step-120/                     a committed checkpoint
        shards/                     every rank its share of trained weights and optimizer, as safetensors; rank 0: index
        model/                      rank 0: what `from_pretrained` opens, or adapters, which peft opens
        state.json  metrics.jsonl   rank 0: the trainer's own counters; the curve up to this step
        manifest.json               rank 0, last: size and sha256 of every other file, sha256 of its own fields
        evaluation.json             rank 0, after the save: what was measured at this step, sha256 of its own fields
      step-160.tmp-attempt-3/       an unfinished save, or one that is being deleted; safe to delete
      step-80.corrupt-attempt-3/    failed verification when attempt 3 loaded it
      latest  best                  rank 0, after each save: names of folders for users and tools; the code ignores them
      reports/                      the launcher, at its end: one report per attempt and node, stacks of a hang

Frozen weights are not saved: the manifest refers to the base model, with a hash, and they must not change. Nothing is
unpickled, so write access to the volume is not enough to run code in a pod.

folder.py is the interface to the trainer. What a tensor means, and when to save, does not belong here.
stores.py is what it needs of a place for checkpoints: folder_store.py, or object_store.py. files.py is the same for
the small files next to them.
files, layout, manifest, object_files, object_head, opening, owner, pins and retention are free of torch, because the
launcher imports them.
"""
