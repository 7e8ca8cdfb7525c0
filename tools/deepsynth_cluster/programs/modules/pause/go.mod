module deepsynth.io/tests/binaries/pause

go 1.26.0
