"""spec.tracking: copies the metrics of a run to TensorBoard, Weights & Biases or MLflow.

trackers.py has a class per service, tracking.py the threads that feed them. The curve itself, metrics.jsonl, belongs to
the loop and the checkpoints.
"""
