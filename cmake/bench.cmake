# bench_kernels: what tools/bench measures in-process. Not a test: it needs a quiet machine.
option(VOCODE_BENCH "Build bench_kernels" OFF)
if(VOCODE_BENCH)
  add_executable(bench_kernels tools/bench/bench_kernels.c tools/bench/peak.c)
  target_include_directories(bench_kernels PRIVATE ${PROJECT_SOURCE_DIR}/tools)
  target_link_libraries(bench_kernels PRIVATE vocode_kernels)
endif()
