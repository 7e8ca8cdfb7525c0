"""spec.tracking: the run's metrics in TensorBoard, Weights & Biases or MLflow."""
