# cmake --install, find_package(xdn), pkg-config, and a .deb by cpack -G DEB. Component xdn holds everything but
# xdn-train, which alone needs libtorch.
include(CMakePackageConfigHelpers)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME xdn)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/xdn)
set(installed xdn_shared)
if(XDN_STATIC)
  list(APPEND installed xdn_static)
endif()

install(TARGETS xdn RUNTIME)
install(TARGETS ${installed} EXPORT xdnTargets)
install(DIRECTORY include/xdn TYPE INCLUDE)
if(XDN_TRAINING)
  # Where libtorch is not among the system's libraries, it is found where it was found when this was built.
  set_target_properties(xdn-train PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS xdn-train RUNTIME COMPONENT xdn-train)
endif()

install(FILES README.md README.zh-CN.md TYPE DOC)
install(FILES LICENSE TYPE DOC RENAME copyright)
install(DIRECTORY docs examples TYPE DOC)

install(EXPORT xdnTargets NAMESPACE xdn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/xdnConfig.cmake.in xdnConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(xdnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/xdnConfig.cmake ${PROJECT_BINARY_DIR}/xdnConfigVersion.cmake
  DESTINATION ${package_dir})

# Both are found from where xdn.pc is: --prefix may be given when it is installed.
file(RELATIVE_PATH XDN_PC_LIB /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix/${CMAKE_INSTALL_LIBDIR})
file(RELATIVE_PATH XDN_PC_INCLUDE /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix/${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/xdn.pc.in xdn.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/xdn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(CPACK_PACKAGE_NAME xdn)
set(CPACK_PACKAGE_VENDOR "XDN")
set(CPACK_PACKAGE_CONTACT "XDN's authors <xdn@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Trained residual networks, fast on CPUs")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL xdn)
if(XDN_TRAINING)
  list(APPEND CPACK_COMPONENTS_ALL xdn-train)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_XDN_PACKAGE_NAME xdn)
set(CPACK_DEBIAN_XDN_DESCRIPTION "The xdn command, libxdn with its headers, documentation and examples.")
set(CPACK_DEBIAN_XDN-TRAIN_PACKAGE_NAME xdn-train)
set(CPACK_DEBIAN_XDN-TRAIN_PACKAGE_DEPENDS "xdn (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_XDN-TRAIN_DESCRIPTION "What xdn train and xdn prune run; it brings libtorch.")
include(CPack)
