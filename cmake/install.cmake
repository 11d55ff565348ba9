# The shared library and what `cmake --install` puts where: the library, its headers, a pkg-config file, a CMake package
# (vocode::vocode), the program, the shipped model, man pages and the licence.
include(CMakePackageConfigHelpers)

option(VOCODE_STATIC "Install a static library as well; what links it must link the libraries below it too" OFF)

set(library_objects "")
set(library_needs "")
foreach(floor ${VOCODE_FLOORS})
  if(TARGET vocode_${floor})
    list(APPEND library_objects $<TARGET_OBJECTS:vocode_${floor}>)
    list(APPEND library_needs ${${floor}_needs})
  endif()
endforeach()

# Symbols are hidden but for those that VOCODE_API marks (tests/install holds it to that).
add_library(vocode_shared SHARED ${library_objects})
set(libraries vocode_shared)
if(VOCODE_STATIC)
  add_library(vocode_static STATIC ${library_objects})
  list(APPEND libraries vocode_static)
endif()
foreach(library ${libraries})
  set_target_properties(${library} PROPERTIES OUTPUT_NAME vocode LINKER_LANGUAGE C)
  target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_link_libraries(vocode_shared PRIVATE ${library_needs})
if(VOCODE_SANITIZE)
  target_link_options(vocode_shared PRIVATE -fsanitize=${VOCODE_SANITIZE})
else()
  target_link_options(vocode_shared PRIVATE -Wl,-z,defs) # a library that lacks something fails here, not in programs
endif()
target_link_options(vocode_shared PRIVATE -Wl,-z,nodelete) # its worker threads outlive a dlclose
set_target_properties(vocode_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                                               EXPORT_NAME vocode)

install(TARGETS vocode_shared EXPORT vocode-targets)
if(VOCODE_STATIC)
  install(TARGETS vocode_static)
endif()
install(TARGETS vocode_program)
install(DIRECTORY include/vocode TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE TYPE DOC)
file(GLOB shipped_models CONFIGURE_DEPENDS models/*.md models/*.safetensors)
install(FILES ${shipped_models} DESTINATION ${CMAKE_INSTALL_DATADIR}/vocode/models)
foreach(section 1 3)
  file(GLOB manual_pages CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${manual_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(DIRECTORY docs/examples TYPE DOC FILES_MATCHING PATTERN "*.c")

# The file finds its prefix from its own place, so an installed tree can be moved.
file(RELATIVE_PATH VOCODE_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(VOCODE_PC_BLAS "")
if(VOCODE_BLAS)
  set(VOCODE_PC_BLAS " openblas")
endif()
configure_file(cmake/vocode.pc.in vocode.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vocode.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/vocode)
# A major version 0 promises nothing from one minor version to the next.
write_basic_package_version_file(vocode-config-version.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT vocode-targets FILE vocode-config.cmake NAMESPACE vocode:: DESTINATION ${package_folder})
install(FILES ${PROJECT_BINARY_DIR}/vocode-config-version.cmake DESTINATION ${package_folder})
