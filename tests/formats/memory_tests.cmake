xdn_test(import_memory_test
  SOURCES import_memory_test.cc
  DEPS xdn_formats xdn_fusion)
