#!/usr/bin/env bash
# Remove what no process of ours ever opens: remove-unused.sh SITE-PACKAGES
# Licences stay: they are in the *.dist-info folders, and next to the fonts.
set -euo pipefail
cd "$1"

# Tests of libraries, and what is for compiling against them.
find . -type d -name tests -prune -exec rm -rf {} +
find . \( -name '*.a' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \) -delete
rm -rf pyarrow/include pyarrow/src

# Arrow's network service.
rm -f pyarrow/libarrow_flight* pyarrow/libarrow_python_flight* pyarrow/_flight.* pyarrow/flight.py

# Of matplotlib the fonts alone are used.
if [ -d matplotlib ]; then
    find matplotlib -type f ! -path 'matplotlib/mpl-data/fonts/ttf/*' -delete
    find matplotlib -type d -empty -delete
    rm -rf mpl_toolkits pylab.py
fi

# CUDA: the multi-GPU solver and device code for kernels of one's own, which torch does not link; profilers' test tools.
rm -f nvidia/cu13/lib/libcusolverMg.so.* nvidia/nvshmem/lib/*.bc torch/bin/protoc*
# bitsandbytes for GPUs of other makers.
rm -f bitsandbytes/libbitsandbytes_rocm*.so bitsandbytes/libbitsandbytes_xpu*.so
# Triton's code generator for AMD, and its instrumentation samples. The Python next to it is imported by name.
rm -rf triton/backends/amd/lib triton/instrumentation triton/plugins
