"""How the processes of an attempt work together, and how others learn of it.

`world` is the process group and small agreements in it, `run_folder` the files between a worker and its launcher,
`progress` what the loop reports. No training here.
"""
