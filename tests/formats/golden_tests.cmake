xdn_test(golden_test
  SOURCES golden_test.cc
  DEPS xdn_formats xdn_executor xdn_reference xdn_data)
