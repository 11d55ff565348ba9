# vocode-mpi.so, the module that makes processes started by mpirun train together. The program loads it when it is one
# of them; nothing else links MPI.
set(VOCODE_MPI AUTO CACHE STRING "Training on several machines through MPI: ON, OFF, or AUTO where MPI is found")
set_property(CACHE VOCODE_MPI PROPERTY STRINGS AUTO ON OFF)
if(VOCODE_MPI STREQUAL "AUTO")
  if(NOT VOCODE_SANITIZE) # MPI's own leaks and races are none of ours
    find_package(MPI QUIET COMPONENTS C)
  endif()
elseif(VOCODE_MPI)
  find_package(MPI REQUIRED COMPONENTS C)
endif()
if(MPI_C_FOUND)
  find_package(Threads REQUIRED)
  # clock.c is compiled into it again: a module cannot count on the program's symbols.
  add_library(vocode_mpi MODULE src/mpi/team_mpi.c src/core/clock.c)
  set_target_properties(vocode_mpi PROPERTIES PREFIX "" OUTPUT_NAME vocode-mpi
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  target_link_libraries(vocode_mpi PRIVATE vocode_flags MPI::MPI_C Threads::Threads)
  install(TARGETS vocode_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/vocode)
endif()
