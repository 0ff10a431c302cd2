xdn_test(caffe_import_test
  SOURCES caffe_import_test.cc caffe_inputs_test.cc caffe_window_layers_test.cc caffe_weight_layers_test.cc
          caffe_pointwise_layers_test.cc caffe_shape_layers_test.cc caffe_weights_test.cc caffe_files_test.cc
          skeleton_test.cc
  DEPS xdn_formats_caffe xdn_caffe_proto xdn_reference spdlog::spdlog)
xdn_test(caffe_export_test
  SOURCES caffe_export_test.cc caffe_round_trip_test.cc caffe_mlu_test.cc
  DEPS xdn_formats xdn_caffe_proto xdn_reference spdlog::spdlog)
