# golden_check: compares models with folders of golden arrays. Built with every preset, with or without the tests.
file(GLOB golden_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/golden/*.c)
if(golden_sources)
  add_executable(golden_check ${golden_sources})
  target_include_directories(golden_check PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(golden_check PRIVATE ${VOCODE_TOP})
endif()
