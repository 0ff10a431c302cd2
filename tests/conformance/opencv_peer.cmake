# OpenCV's dnn module runs the same Caffe models. Debian's libopencv-dnn-dev brings no CMake package, hence by hand.
find_path(XDN_OPENCV_INCLUDE opencv2/dnn.hpp PATH_SUFFIXES opencv4)
find_library(XDN_OPENCV_DNN opencv_dnn)
find_library(XDN_OPENCV_CORE opencv_core)
if(XDN_OPENCV_INCLUDE AND XDN_OPENCV_DNN AND XDN_OPENCV_CORE)
  add_library(xdn_opencv INTERFACE)
  target_include_directories(xdn_opencv SYSTEM INTERFACE ${XDN_OPENCV_INCLUDE})
  target_link_libraries(xdn_opencv INTERFACE ${XDN_OPENCV_DNN} ${XDN_OPENCV_CORE})
  xdn_test(opencv_peer_test
    SOURCES opencv_peer_test.cc
    DEPS xdn_formats_caffe xdn_caffe_proto xdn_fusion xdn_reference xdn_data xdn_opencv)
else()
  message(STATUS "opencv_peer_test is not built: no OpenCV dnn (Debian: libopencv-dnn-dev)")
endif()
