# What tools/bench measures in-process. Not tests: they need a quiet machine.
option(VOCODE_BENCH "Build bench_kernels and bench_steps" OFF)
if(VOCODE_BENCH)
  add_executable(bench_kernels tools/bench/bench_kernels.c tools/bench/peak.c)
  target_include_directories(bench_kernels PRIVATE ${PROJECT_SOURCE_DIR}/tools)
  target_link_libraries(bench_kernels PRIVATE vocode_kernels)
  add_executable(bench_steps tools/bench/bench_steps.c)
  target_link_libraries(bench_steps PRIVATE vocode_vocoder)
endif()
