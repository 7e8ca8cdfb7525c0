"""DeepSynth without a cluster: the `deepsynth` command.

It runs the operator's own reconcile on the simulator, with local processes as pods. On this level are the commands and
what they print; reading and checking files (admission/), starting processes (processes/), the HTML report (report/) and
what is kept on disk (runs/) have folders of their own. Decisions about resources belong to the operator, rules of
Kubernetes to the simulator.

    deepsynth local -f demo.yaml
      admission   files -> resources as the API server would store them
      controller  reconciles them on the simulator; each change goes to the runs folder and to the display
      processes   the simulator's PodRunner: each pod is a process
      summary, report   what came out
"""
