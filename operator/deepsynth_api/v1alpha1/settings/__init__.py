"""Parts of a spec that the workloads read too: how to render, which model, how to train, and where results go."""
