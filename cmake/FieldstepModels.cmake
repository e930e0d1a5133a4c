# fieldstep_add_model(TARGET FAMILY avit VARIANT Ti|S|B|L GRID HEIGHTxWIDTH FRAMES n FIELDS n)
# compiles one static network into TARGET, in a translation unit of its own, and lists it in embed::compiled_models().
# An own variant restates what differs from the published ones' defaults:
#   fieldstep_add_model(solver FAMILY avit VARIANT micro EMBED_DIM 32 HEADS 2 BLOCKS 2 STATES 12 GRID 64x64 FRAMES 4 FIELDS 1)

set(fieldstep_models_dir "${CMAKE_CURRENT_LIST_DIR}")

function(fieldstep_add_model target)
  cmake_parse_arguments(PARSE_ARGV 1 model "" "FAMILY;VARIANT;GRID;FRAMES;FIELDS;EMBED_DIM;HEADS;BLOCKS;STATES;BIAS" "")
  if(model_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fieldstep_add_model: unknown argument ${model_UNPARSED_ARGUMENTS}")
  endif()
  foreach(wanted IN ITEMS FAMILY VARIANT GRID FRAMES FIELDS)
    if(NOT DEFINED model_${wanted})
      message(FATAL_ERROR "fieldstep_add_model: ${wanted} is missing")
    endif()
  endforeach()
  if(NOT model_FAMILY STREQUAL "avit")
    message(FATAL_ERROR "fieldstep_add_model: FAMILY is ${model_FAMILY}, wanted avit")
  endif()
  if(NOT model_GRID MATCHES "^([0-9]+)x([0-9]+)$")
    message(FATAL_ERROR "fieldstep_add_model: GRID is ${model_GRID}, wanted HEIGHTxWIDTH such as 128x128")
  endif()
  set(model_HEIGHT ${CMAKE_MATCH_1})
  set(model_WIDTH ${CMAKE_MATCH_2})

  if(model_VARIANT MATCHES "^(Ti|S|B|L)$")
    set(base "Avit${model_VARIANT}")
  elseif(DEFINED model_EMBED_DIM AND DEFINED model_HEADS AND DEFINED model_BLOCKS)
    set(base AvitDefaults)
  else()
    message(FATAL_ERROR "fieldstep_add_model: VARIANT is ${model_VARIANT}; beside Ti, S, B and L a variant needs EMBED_DIM, HEADS and BLOCKS")
  endif()
  set(restated)
  foreach(constant IN ITEMS EMBED_DIM HEADS BLOCKS STATES)
    if(DEFINED model_${constant})
      string(TOLOWER ${constant} name)
      string(APPEND restated "\n  static constexpr int ${name} = ${model_${constant}};")
    endif()
  endforeach()
  if(DEFINED model_BIAS)
    string(APPEND restated "\n  static constexpr models::PositionBias bias = models::PositionBias::${model_BIAS};")
  endif()

  set(identifier "avit_${model_VARIANT}_${model_FRAMES}x${model_HEIGHT}x${model_WIDTH}x${model_FIELDS}")
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}_models")
  configure_file("${fieldstep_models_dir}/avit_model.cpp.in" "${folder}/${identifier}.cpp" @ONLY)
  target_sources(${target} PRIVATE "${folder}/${identifier}.cpp")

  # The list is written when all calls have been made.
  get_target_property(known ${target} FIELDSTEP_MODELS)
  set_property(TARGET ${target} APPEND PROPERTY FIELDSTEP_MODELS ${identifier})
  if(NOT known)
    set(models "$<TARGET_PROPERTY:${target},FIELDSTEP_MODELS>")
    file(GENERATE OUTPUT "${folder}/compiled_models.cpp" CONTENT "// Made by fieldstep_add_model.
#include <fieldstep/embed/registry.hpp>

namespace fieldstep::embed {

namespace compiled {
ModelEntry $<JOIN:${models},()$<SEMICOLON>\nModelEntry >()$<SEMICOLON>
}

std::vector<ModelEntry> compiled_models() { return {compiled::$<JOIN:${models},()$<COMMA> compiled::>()}$<SEMICOLON> }

}  // namespace fieldstep::embed
")
    target_sources(${target} PRIVATE "${folder}/compiled_models.cpp")
  endif()
endfunction()
