"""The files that the steps hand to each other and to readers: their formats, and how they are written and read.

    plan     writes  plan/plan.json, plan/rows-NNNNN.parquet      RenderPlan, PlanRow
                     plan/draft.json, to be rendered ahead        RenderDraft
    render   writes  data/SPLIT-NNNNN.parquet, receipts/NNNNN.json    Receipt
    publish  writes  deepsynth/manifest.json                          DatasetManifest

What a step does with them belongs to the step's own package.
"""
