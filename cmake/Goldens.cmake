# Every golden manifest of the folders FIELDSTEP_GOLDENS becomes a CTest golden.<family>.<file stem>: a JSON file with
# `family` and `case`, in a folder named there or one level below. What the manifest says about sizes becomes a type, so
# manifests of equal types share an executable, which takes the manifest as its argument. Cases are told apart by their
# fields alone, never by their names.

# fieldstep_mpp_golden(JSON PREFIX): PREFIX_unit names the model type, PREFIX_code defines and runs it.
function(fieldstep_mpp_golden json prefix)
  foreach(field IN ITEMS embed_dim num_heads processor_blocks n_states bias_type)
    string(JSON ${field} GET "${json}" config ${field})
  endforeach()
  if(NOT bias_type MATCHES "^(none|continuous)$")
    set(bias_type relative)  # as the original takes any other word
  endif()
  string(JSON files ERROR_VARIABLE no_files GET "${json}" files)
  string(JSON optimizers ERROR_VARIABLE no_optimizers GET "${json}" optimizers)
  if(NOT no_optimizers)
    set(header avit_steps_golden)
    set(runner AvitStepsGolden)
  elseif(no_files)
    set(header avit_golden)
    set(runner AvitGolden)
  elseif(NOT TARGET fieldstep::flax)
    return()
  else()
    set(header avit_checkpoint_golden)
    set(runner AvitCheckpointGolden)
  endif()

  # The sizes stand in `sizes`; in a checkpoint's case as the shape of x; in an optimizers' case in a sentence.
  string(JSON sizes ERROR_VARIABLE absent GET "${json}" sizes)
  string(JSON inputs GET "${json}" inputs)
  string(JSON inputs_type TYPE "${json}" inputs)
  if(NOT absent)
    foreach(size IN ITEMS T C H W)
      string(JSON ${size} GET "${sizes}" ${size})
    endforeach()
  else()
    if(inputs_type STREQUAL "ARRAY")
      string(JSON shape GET "${inputs}" 0 shape)
    else()
      set(shape "${inputs}")
    endif()
    string(REGEX MATCH "([0-9]+), *([0-9]+), *([0-9]+), *([0-9]+), *([0-9]+)" shape "${shape}")
    set(T "${CMAKE_MATCH_1}")
    set(C "${CMAKE_MATCH_3}")
    set(H "${CMAKE_MATCH_4}")
    set(W "${CMAKE_MATCH_5}")
  endif()

  set(${prefix}_unit
      "${header}_${embed_dim}_${num_heads}_${processor_blocks}_${n_states}_${bias_type}_${T}x${H}x${W}x${C}" PARENT_SCOPE)
  set(${prefix}_code "#include <support/${header}.hpp>

struct Config : fieldstep::models::AvitDefaults {
  static constexpr int embed_dim = ${embed_dim}, heads = ${num_heads}, blocks = ${processor_blocks}, states = ${n_states};
  static constexpr auto bias = fieldstep::models::PositionBias::${bias_type};
};

int main(int argc, char* argv[]) {
  return fieldstep::support::run_golden<fieldstep::support::${runner}<Config, fieldstep::Grid<${T}, ${H}, ${W}, ${C}>>>(argc, argv);
}
" PARENT_SCOPE)
endfunction()

# fieldstep_json_list(JSON RESULT KEYS...): a JSON list as the inside of a C++ braced list; empty where there is none.
function(fieldstep_json_list json result)
  string(JSON list ERROR_VARIABLE absent GET "${json}" ${ARGN})
  string(REGEX REPLACE "[][ \n]" "" list "${list}")
  if(absent OR list STREQUAL "null")
    set(list)
  endif()
  string(REPLACE "true" "1" list "${list}")
  string(REPLACE "false" "0" list "${list}")
  set(${result} "${list}" PARENT_SCOPE)
endfunction()

function(fieldstep_poseidon_golden json prefix)
  set(config)
  macro(restate type name key)
    string(JSON value ERROR_VARIABLE absent GET "${json}" config ${key})
    if(NOT absent AND NOT value STREQUAL "null")
      string(REGEX REPLACE "^ON$" "true" value "${value}")
      string(REGEX REPLACE "^OFF$" "false" value "${value}")
      string(APPEND config "  static constexpr ${type} ${name} = ${value};\n")
    endif()
  endmacro()
  foreach(key IN ITEMS embed_dim image_size)
    restate(int ${key} ${key})
  endforeach()
  restate(int window window_size)
  restate(int patch patch_size)
  restate(int out_channels num_out_channels)
  restate(double mlp_ratio mlp_ratio)
  restate(double layer_norm_eps layer_norm_eps)
  restate(bool use_conditioning use_conditioning)
  restate(bool qkv_bias qkv_bias)
  restate(bool mask_token use_mask_token)
  restate(bool absolute_positions use_absolute_embeddings)
  string(JSON conditioned ERROR_VARIABLE absent GET "${json}" config use_conditioning)
  if(conditioned)  # the original forgets the wish otherwise
    restate(bool learn_residual learn_residual)
  endif()
  string(JSON blocks ERROR_VARIABLE absent GET "${json}" config residual_model)
  if(NOT absent)
    string(APPEND config "  static constexpr auto skip_block = fieldstep::models::SkipBlock::${blocks};\n")
  endif()
  foreach(pair IN ITEMS "depths;depths" "heads;num_heads" "skip_blocks;skip_connections" "trained_windows;pretrained_window_sizes")
    list(GET pair 0 name)
    list(GET pair 1 key)
    fieldstep_json_list("${json}" numbers config ${key})
    if(numbers)
      string(APPEND config "  static constexpr std::array ${name}{${numbers}};\n")
    endif()
  endforeach()
  set(labelled false)
  string(JSON inputs LENGTH "${json}" inputs)
  math(EXPR last "${inputs} - 1")
  foreach(i RANGE ${last})
    string(JSON argument GET "${json}" inputs ${i} arg)
    if(argument STREQUAL "labels")
      set(labelled true)
    elseif(argument STREQUAL "pixel_values")
      foreach(pair IN ITEMS "C;1" "H;2" "W;3")
        list(GET pair 0 name)
        list(GET pair 1 axis)
        string(JSON ${name} GET "${json}" inputs ${i} shape ${axis})
      endforeach()
    endif()
  endforeach()

  string(MD5 hash "${config}${labelled}")
  string(SUBSTRING ${hash} 0 8 hash)
  set(${prefix}_unit "scot_golden_${hash}_${H}x${W}x${C}" PARENT_SCOPE)
  set(${prefix}_code "#include <support/scot_golden.hpp>

struct Config : fieldstep::models::ScotDefaults {
${config}};

int main(int argc, char* argv[]) {
  return fieldstep::support::run_golden<fieldstep::support::ScotGolden<Config, fieldstep::Grid<1, ${H}, ${W}, ${C}>, ${labelled}>>(argc, argv);
}
" PARENT_SCOPE)
endfunction()

# The first word of `case` is the form of a trainax manifest.
function(fieldstep_trainax_golden json prefix)
  set(forms prng optimizers substack configs trainer losses sample metrics quickstart)
  set(headers random_golden optimizer_golden substack_golden configuration_golden trainer_golden loss_golden
              sample_data_golden metrics_golden quickstart_golden)
  set(runners RandomGolden OptimizerGolden SubstackGolden ConfigurationGolden TrainerGolden LossGolden SampleDataGolden
              MetricsGolden QuickstartGolden)
  string(JSON case GET "${json}" case)
  string(REGEX MATCH "^[a-z]+" form "${case}")
  list(FIND forms "${form}" place)
  if(place LESS 0)
    return()
  endif()
  list(GET headers ${place} header)
  list(GET runners ${place} runner)
  set(${prefix}_unit ${header} PARENT_SCOPE)
  string(JSON points ERROR_VARIABLE absent GET "${json}" config num_points)
  if(NOT absent)  # the grid is part of the network's type
    string(APPEND runner "<${points}>")
    set(${prefix}_unit ${header}_${points} PARENT_SCOPE)
  endif()
  set(${prefix}_code "#include <support/${header}.hpp>

int main(int argc, char* argv[]) { return fieldstep::support::run_golden<fieldstep::support::${runner}>(argc, argv); }
" PARENT_SCOPE)
endfunction()

# Sizes and flags of the configuration, and the preset of one of the two sources, are a type.
function(fieldstep_tidhy_golden json prefix)
  set(config)
  macro(restate type name)
    string(JSON value ERROR_VARIABLE absent GET "${json}" ${ARGN})
    if(NOT absent)
      string(REGEX REPLACE "^ON$" "true" value "${value}")
      string(REGEX REPLACE "^OFF$" "false" value "${value}")
      string(APPEND config "  static constexpr ${type} ${name} = ${value};\n")
    endif()
  endmacro()
  foreach(key IN ITEMS r_dim r2_dim mix_dim input_dim hyper_hid_dim r2_decoder_hid_dim)
    restate(int ${key} config ${key})
  endforeach()
  foreach(key IN ITEMS nonlin_decoder low_rank_temp dyn_bias use_r2_decoder)
    restate(bool ${key} config ${key})
  endforeach()
  restate(double layer_norm_eps preset ln_eps)
  restate(bool halve_rate preset inf_lr_r_halving)
  restate(bool through_r2_decoder preset r2_loss_grad_through_decoder)
  restate(double first_step_decay preset first_step_weight_decay)
  restate(double abs_slope_at_zero preset abs_grad_at_zero)
  string(JSON loss GET "${json}" config loss_type)
  string(TOLOWER "${loss}" loss)
  string(APPEND config "  static constexpr auto loss_type = fieldstep::models::TidhyLoss::${loss};\n")
  string(JSON bce GET "${json}" preset bce)
  string(JSON eps GET "${json}" preset poisson_log_eps)
  if(bce MATCHES "clamped")
    string(APPEND config "  static constexpr bool bce_clamped = true;\n  static constexpr double log_eps = ${eps};\n")
  else()
    string(APPEND config "  static constexpr bool bce_clamped = false;\n  static constexpr double log_eps = 1e-10;\n")
  endif()
  string(JSON axis GET "${json}" preset normalize_spatial_axis)
  set(norm latent)
  if(axis MATCHES "^over r_dim")
    set(norm channel)
  endif()
  string(APPEND config "  static constexpr auto spatial_norm = fieldstep::models::SpatialNorm::${norm};\n")
  string(JSON divisor GET "${json}" preset normalize_eps)
  if(divisor MATCHES "^norm")
    string(APPEND config "  static constexpr bool norm_plus_eps = true;\n")
  endif()

  string(MD5 hash "${config}")
  string(SUBSTRING ${hash} 0 8 hash)
  set(${prefix}_unit "tidhy_golden_${hash}" PARENT_SCOPE)
  set(${prefix}_code "#include <support/tidhy_golden.hpp>

struct Config : fieldstep::models::TidhyDefaults {
${config}};

int main(int argc, char* argv[]) { return fieldstep::support::run_golden<fieldstep::support::TidhyGolden<Config>>(argc, argv); }
" PARENT_SCOPE)
endfunction()

function(fieldstep_add_golden manifest)
  file(READ "${manifest}" json)
  string(JSON family ERROR_VARIABLE no_family GET "${json}" family)
  string(JSON case ERROR_VARIABLE no_case GET "${json}" case)
  if(no_family OR no_case)
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
  cmake_path(GET manifest STEM stem)
  set(test golden.${family}.${stem})

  if(COMMAND fieldstep_${family}_golden)
    cmake_language(CALL fieldstep_${family}_golden "${json}" golden)
  endif()
  if(NOT golden_unit)
    message(STATUS "${test}: skipped, this library does not compute it")
    return()
  endif()

  set(parameters 0)
  foreach(field IN ITEMS n_params num_parameters)
    string(JSON count ERROR_VARIABLE absent GET "${json}" ${field})
    if(NOT absent)
      set(parameters ${count})
    endif()
  endforeach()
  set(labels golden)
  if(parameters GREATER 60000000)
    list(APPEND labels slow)
    # The suite's own large cases wait for the complete suite; those somebody asks for do not.
    if(NOT FIELDSTEP_SLOW_TESTS AND FIELDSTEP_GOLDENS STREQUAL "${PROJECT_SOURCE_DIR}/tests/goldens")
      return()
    endif()
  endif()

  set(unit ${family}_${golden_unit})
  if(NOT TARGET ${unit})
    file(CONFIGURE OUTPUT ${unit}.cpp CONTENT "${golden_code}" @ONLY)
    add_executable(${unit} ${CMAKE_CURRENT_BINARY_DIR}/${unit}.cpp)
    target_include_directories(${unit} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${unit} PRIVATE fieldstep fieldstep_warnings ${found_components})
    if(parameters LESS 1000000)
      target_compile_options(${unit} PRIVATE -O1)  # small networks compile for longer than they run
    endif()
  endif()
  if(TEST ${test})
    message(FATAL_ERROR "FIELDSTEP_GOLDENS: ${test} exists in two of the folders, the second is ${manifest}")
  endif()
  add_test(NAME ${test} COMMAND ${unit} "${manifest}")
  set_tests_properties(${test} PROPERTIES PROCESSORS 2 LABELS "${labels}" TIMEOUT 1500)
endfunction()

if(NOT TARGET fieldstep::json)
  message(STATUS "Golden tests are off: their manifests need fieldstep::json")
  return()
endif()
foreach(folder IN LISTS FIELDSTEP_GOLDENS)
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" NORMALIZE)
  if(NOT IS_DIRECTORY "${folder}")
    message(FATAL_ERROR "FIELDSTEP_GOLDENS: ${folder} is no folder, wanted one with golden manifests")
  endif()
  file(GLOB manifests CONFIGURE_DEPENDS "${folder}/*.json" "${folder}/*/*.json")
  foreach(manifest IN LISTS manifests)
    fieldstep_add_golden("${manifest}")
  endforeach()
endforeach()
