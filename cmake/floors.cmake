# The floors of the house, lowest first (docs/ARCHITECTURE.md). Each is one static library that links the floors below
# it and nothing above: a file that includes upwards does not link in that floor's tests.
# Every floor is built twice: vocode_<floor> with real = float, and vocode_<floor>_f64 with real = double for the
# conformance tests.

set(VOCODE_FLOORS core kernels io dsp nn flows density vocoder train)

set(VOCODE_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wno-sign-conversion
    $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>) # TRY hides from the optimiser that a failed call never goes on
if(VOCODE_WERROR)
  list(APPEND VOCODE_WARNINGS -Werror)
endif()

add_library(vocode_flags INTERFACE)
target_compile_options(vocode_flags INTERFACE ${VOCODE_WARNINGS} -ffp-contract=off -fno-math-errno)
target_include_directories(vocode_flags INTERFACE ${PROJECT_SOURCE_DIR}/src
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_compile_definitions(vocode_flags INTERFACE _GNU_SOURCE VOCODE_VERSION="${PROJECT_VERSION}")
if(VOCODE_BLAS)
  target_compile_definitions(vocode_flags INTERFACE VOCODE_BLAS)
endif()
if(VOCODE_SIMD)
  target_compile_definitions(vocode_flags INTERFACE VOCODE_SIMD)
endif()
# The optimizer's loop vectorises where its root does not set errno.
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/train/optimizer.c PROPERTIES COMPILE_OPTIONS
                            "-fno-math-errno;$<$<NOT:$<CONFIG:Debug>>:-O3>")
# Each instruction set's file is compiled for it, and called where the processor has it (src/kernels/dispatch.c).
# Their tiles of sums live in registers only where loops are unrolled.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/kernels/avx2.c PROPERTIES COMPILE_OPTIONS
                              "-mavx2;-mfma;$<$<NOT:$<CONFIG:Debug>>:-O3>")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/kernels/avx512.c PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;$<$<NOT:$<CONFIG:Debug>>:-O3>")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/kernels/avx512bf16.c PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mfma;$<$<NOT:$<CONFIG:Debug>>:-O3>")
else()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/kernels/neon.c PROPERTIES COMPILE_OPTIONS
                              "$<$<NOT:$<CONFIG:Debug>>:-O3>")
endif()
if(VOCODE_SANITIZE)
  target_compile_options(vocode_flags INTERFACE -fsanitize=${VOCODE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(vocode_flags INTERFACE -fsanitize=${VOCODE_SANITIZE})
endif()

if(VOCODE_FUZZ)
  target_compile_options(vocode_flags INTERFACE -fsanitize=fuzzer-no-link) # edge counters for libFuzzer
endif()

# What each floor needs from outside.
set(core_needs m)
set(kernels_needs OpenMP::OpenMP_C)
if(VOCODE_BLAS)
  list(APPEND kernels_needs PkgConfig::OPENBLAS)
endif()
set(io_needs PkgConfig::SNDFILE PkgConfig::SOXR PkgConfig::JANSSON PkgConfig::ZIP PkgConfig::PNG PkgConfig::SODIUM)
set(dsp_needs PkgConfig::FFTW PkgConfig::JANSSON)
set(train_needs PkgConfig::PROTOBUF_C)

# Messages written by protobuf-c: src/train/NAME.proto becomes train/NAME.pb-c.h and code that is not ours to warn about.
set(generated ${PROJECT_BINARY_DIR}/generated)
set(train_generated ${generated}/train/events.pb-c.c)
file(MAKE_DIRECTORY ${generated}/train)
add_custom_command(OUTPUT ${train_generated} ${generated}/train/events.pb-c.h
                   COMMAND ${PROTOC_C} --proto_path=${PROJECT_SOURCE_DIR}/src --c_out=${generated} train/events.proto
                   DEPENDS ${PROJECT_SOURCE_DIR}/src/train/events.proto)
set_source_files_properties(${train_generated} PROPERTIES COMPILE_OPTIONS -w)
add_custom_target(vocode_messages DEPENDS ${train_generated})
target_include_directories(vocode_flags SYSTEM INTERFACE $<BUILD_INTERFACE:${generated}>)

foreach(suffix "" "_f64")
  set(below "")
  foreach(floor ${VOCODE_FLOORS})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/*.c)
    set(name vocode_${floor}${suffix})
    if(sources)
      add_library(${name} STATIC ${sources} ${${floor}_generated})
      target_link_libraries(${name} PUBLIC vocode_flags ${${floor}_needs} ${below})
      if(suffix STREQUAL "_f64")
        target_compile_definitions(${name} PUBLIC VOCODE_REAL_DOUBLE)
        set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
      endif()
      if(${floor}_generated)
        add_dependencies(${name} vocode_messages)
      endif()
      set(below ${name})
    endif()
  endforeach()
  set(VOCODE_TOP${suffix} ${below})
endforeach()

file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
add_library(vocode_cli OBJECT ${cli_sources})
target_link_libraries(vocode_cli PUBLIC ${VOCODE_TOP})
file(RELATIVE_PATH lib_up ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
target_compile_definitions(vocode_cli PRIVATE VOCODE_DATA_DIR="${CMAKE_INSTALL_FULL_DATADIR}/vocode"
                                              VOCODE_LIB_UP="${lib_up}")
target_link_libraries(vocode_cli PUBLIC ${CMAKE_DL_LIBS})
