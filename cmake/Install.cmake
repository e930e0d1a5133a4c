include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/fieldstep")
configure_package_config_file(cmake/fieldstepConfig.cmake.in "${PROJECT_BINARY_DIR}/fieldstepConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fieldstepConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
configure_file(cmake/fieldstep.pc.in "${PROJECT_BINARY_DIR}/fieldstep.pc" @ONLY)

install(TARGETS fieldstep EXPORT fieldstepTargets)
install(EXPORT fieldstepTargets NAMESPACE fieldstep:: DESTINATION "${package_dir}")
install(DIRECTORY include/fieldstep DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_BINARY_DIR}/fieldstepConfig.cmake" "${PROJECT_BINARY_DIR}/fieldstepConfigVersion.cmake"
              cmake/Components.cmake cmake/FieldstepModels.cmake cmake/avit_model.cpp.in cmake/scot_model.cpp.in
              cmake/conv_model.cpp.in cmake/tidhy_model.cpp.in DESTINATION "${package_dir}")
install(FILES "${PROJECT_BINARY_DIR}/fieldstep.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
