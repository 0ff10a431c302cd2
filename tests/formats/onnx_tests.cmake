xdn_test(onnx_formats_test
  SOURCES
    model_io_test.cc
    onnx_support.cc
    onnx_bad_model_test.cc
    onnx_export_test.cc
    onnx_external_data_test.cc
    onnx_free_batch_test.cc
    onnx_layout_ops_test.cc
    onnx_ops_test.cc
    onnx_shape_arithmetic_test.cc
    onnx_shared_models_test.cc
    onnx_tensor_test.cc
    onnx_window_ops_test.cc
  DEPS xdn_formats xdn_onnx_schema xdn_reference)
