"""The life of a TrainingRun: wait for inputs, pin them, then attempt after attempt until it completes or fails.

Start at `decide.py`.
"""
