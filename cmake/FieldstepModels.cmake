# fieldstep_add_model(TARGET FAMILY avit VARIANT Ti|S|B|L GRID HEIGHTxWIDTH FRAMES n FIELDS n)
# fieldstep_add_model(TARGET FAMILY poseidon VARIANT T|S|B|L GRID HEIGHTxWIDTH FIELDS n [OUT_CHANNELS n])
# compiles one static network into TARGET, in a translation unit of its own, and lists it in embed::compiled_models().
# An own variant restates what differs from the published ones' defaults:
#   fieldstep_add_model(solver FAMILY avit VARIANT micro EMBED_DIM 32 HEADS 2 BLOCKS 2 STATES 12 GRID 64x64 FRAMES 4 FIELDS 1)
#   fieldstep_add_model(solver FAMILY poseidon VARIANT tiny EMBED_DIM 4 DEPTHS 4,4,4,4 HEADS 1,1,2,4 SKIP_BLOCKS 2,2,2,0
#                       WINDOW 8 IMAGE_SIZE 64 GRID 64x64 FIELDS 4)
# avit: EMBED_DIM HEADS BLOCKS STATES BIAS; poseidon: EMBED_DIM DEPTHS HEADS SKIP_BLOCKS PATCH WINDOW IMAGE_SIZE
# MLP_RATIO LAYER_NORM_EPS OUT_CHANNELS RESIDUAL convnext|resnet UNCONDITIONED ABSOLUTE_POSITIONS MASK_TOKEN NO_QKV_BIAS
# LEARN_RESIDUAL. TRAINABLE adds the passes of training, which take a while to compile.

set(fieldstep_models_dir "${CMAKE_CURRENT_LIST_DIR}")

set(fieldstep_avit_keys FRAMES EMBED_DIM HEADS BLOCKS STATES BIAS)
set(fieldstep_avit_flags)
set(fieldstep_poseidon_keys EMBED_DIM DEPTHS HEADS SKIP_BLOCKS PATCH WINDOW IMAGE_SIZE MLP_RATIO LAYER_NORM_EPS OUT_CHANNELS
                            RESIDUAL)
set(fieldstep_poseidon_flags UNCONDITIONED ABSOLUTE_POSITIONS MASK_TOKEN NO_QKV_BIAS LEARN_RESIDUAL)

function(fieldstep_add_model target)
  set(keys FAMILY VARIANT GRID FIELDS ${fieldstep_avit_keys} ${fieldstep_poseidon_keys})
  list(REMOVE_DUPLICATES keys)
  cmake_parse_arguments(PARSE_ARGV 1 model "TRAINABLE;${fieldstep_poseidon_flags}" "${keys}" "")
  if(model_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fieldstep_add_model: unknown argument ${model_UNPARSED_ARGUMENTS}")
  endif()
  macro(require)
    foreach(wanted IN ITEMS ${ARGN})
      if(NOT DEFINED model_${wanted})
        message(FATAL_ERROR "fieldstep_add_model: ${wanted} is missing")
      endif()
    endforeach()
  endmacro()
  require(FAMILY VARIANT GRID FIELDS)
  if(NOT model_FAMILY MATCHES "^(avit|poseidon)$")
    message(FATAL_ERROR "fieldstep_add_model: FAMILY is ${model_FAMILY}, wanted avit or poseidon")
  endif()
  foreach(key IN LISTS fieldstep_avit_keys fieldstep_poseidon_keys fieldstep_poseidon_flags)
    if(model_${key} AND NOT key IN_LIST fieldstep_${model_FAMILY}_keys AND NOT key IN_LIST fieldstep_${model_FAMILY}_flags)
      message(FATAL_ERROR "fieldstep_add_model: ${key} is nothing that FAMILY ${model_FAMILY} has")
    endif()
  endforeach()
  if(NOT model_GRID MATCHES "^([0-9]+)x([0-9]+)$")
    message(FATAL_ERROR "fieldstep_add_model: GRID is ${model_GRID}, wanted HEIGHTxWIDTH such as 128x128")
  endif()
  set(model_HEIGHT ${CMAKE_MATCH_1})
  set(model_WIDTH ${CMAKE_MATCH_2})

  # restate(TYPE NAME KEY): KEY's value as a constant of the configuration, where it is given.
  set(restated)
  macro(restate type name key)
    if(DEFINED model_${key})
      string(APPEND restated "\n  static constexpr ${type} ${name} = ${model_${key}};")
    endif()
  endmacro()
  cmake_language(CALL fieldstep_${model_FAMILY}_model)

  string(MAKE_C_IDENTIFIER ${identifier} identifier)
  set(training)
  set(training_header)
  if(model_TRAINABLE)
    set(training ", models::${passes}<Net>")
    set(training_header "#include <fieldstep/models/${passes_header}>\n")
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}_models")
  configure_file("${fieldstep_models_dir}/${template}.cpp.in" "${folder}/${identifier}.cpp" @ONLY)
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

# Both: from model_<KEY> of the call to the template, its base class and constants, and the unit's name.
macro(fieldstep_avit_model)
  require(FRAMES)
  if(model_VARIANT MATCHES "^(Ti|S|B|L)$")
    set(base "Avit${model_VARIANT}")
  elseif(DEFINED model_EMBED_DIM AND DEFINED model_HEADS AND DEFINED model_BLOCKS)
    set(base AvitDefaults)
  else()
    message(FATAL_ERROR "fieldstep_add_model: VARIANT is ${model_VARIANT}; beside Ti, S, B and L a variant needs EMBED_DIM, HEADS and BLOCKS")
  endif()
  foreach(key IN ITEMS EMBED_DIM HEADS BLOCKS STATES)
    string(TOLOWER ${key} name)
    restate(int ${name} ${key})
  endforeach()
  if(DEFINED model_BIAS)
    string(APPEND restated "\n  static constexpr models::PositionBias bias = models::PositionBias::${model_BIAS};")
  endif()
  set(template avit_model)
  set(passes AvitTraining)
  set(passes_header avit_training.hpp)
  set(identifier "avit_${model_VARIANT}_${model_FRAMES}x${model_HEIGHT}x${model_WIDTH}x${model_FIELDS}")
endmacro()

macro(fieldstep_poseidon_model)
  if(model_VARIANT MATCHES "^(T|S|B|L)$")
    set(base "Poseidon${model_VARIANT}")
  elseif(DEFINED model_EMBED_DIM AND DEFINED model_DEPTHS AND DEFINED model_HEADS AND DEFINED model_SKIP_BLOCKS)
    set(base ScotDefaults)
  else()
    message(FATAL_ERROR "fieldstep_add_model: VARIANT is ${model_VARIANT}; beside T, S, B and L a variant needs EMBED_DIM, DEPTHS, HEADS and SKIP_BLOCKS")
  endif()
  foreach(key IN ITEMS EMBED_DIM PATCH WINDOW IMAGE_SIZE OUT_CHANNELS)
    string(TOLOWER ${key} name)
    restate(int ${name} ${key})
  endforeach()
  restate(double mlp_ratio MLP_RATIO)
  restate(double layer_norm_eps LAYER_NORM_EPS)
  foreach(key IN ITEMS DEPTHS HEADS SKIP_BLOCKS)
    if(DEFINED model_${key})
      string(TOLOWER ${key} name)
      string(APPEND restated "\n  static constexpr std::array ${name}{${model_${key}}};")
    endif()
  endforeach()
  if(DEFINED model_RESIDUAL)
    string(APPEND restated "\n  static constexpr auto skip_block = models::SkipBlock::${model_RESIDUAL};")
  endif()
  foreach(pair IN ITEMS "UNCONDITIONED=use_conditioning = false" "ABSOLUTE_POSITIONS=absolute_positions = true"
                        "MASK_TOKEN=mask_token = true" "NO_QKV_BIAS=qkv_bias = false" "LEARN_RESIDUAL=learn_residual = true")
    string(REGEX MATCH "^([A-Z_]+)=(.*)$" matched "${pair}")
    if(model_${CMAKE_MATCH_1})
      string(APPEND restated "\n  static constexpr bool ${CMAKE_MATCH_2};")
    endif()
  endforeach()
  set(template scot_model)
  set(passes ScotTraining)
  set(passes_header scot_training.hpp)
  string(MD5 hash "${restated}")
  string(SUBSTRING ${hash} 0 6 hash)
  set(identifier "poseidon_${model_VARIANT}_${model_HEIGHT}x${model_WIDTH}x${model_FIELDS}_${hash}")
endmacro()
