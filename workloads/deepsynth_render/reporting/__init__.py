"""What a step reports: GET /report, the termination message, log lines, and the documents that it dropped."""
