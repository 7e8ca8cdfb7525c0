module deepsynth.io/tests/binaries/probe

go 1.26.0
