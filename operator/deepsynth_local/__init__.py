"""DeepSynth without a cluster: the `deepsynth` command.

It runs the operator's own reconcile on the simulator, with local processes as pods. Commands and what they print are at
this level; admission, processes, the report and the runs folder have packages of their own.
"""
