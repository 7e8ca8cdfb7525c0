"""`python -m deepsynth_cluster.programs helm` builds Helm if need be and prints where it is; without a name, all."""

import sys

from deepsynth_cluster.programs.build import program
from deepsynth_cluster.programs.pins import list_commands
from deepsynth_host.errors import ToolError

if __name__ == "__main__":
    try:
        for command in sys.argv[1:] or list_commands():
            print(program(command), flush=True)
    except ToolError as error:
        sys.exit(str(error))
