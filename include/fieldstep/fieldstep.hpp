#pragma once
// Everything that needs Kokkos, Boost.Hana and Eigen alone: convenient for a first try; the specific headers compile
// faster. Headers of the optional components (fieldstep::hdf5, png, flax, json) are included by their own names only.
#include <fieldstep/version.hpp>

#include <fieldstep/blocks/attention.hpp>
#include <fieldstep/blocks/axial_attention.hpp>
#include <fieldstep/blocks/batch_norm.hpp>
#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/continuous_position_bias.hpp>
#include <fieldstep/blocks/convnext_block.hpp>
#include <fieldstep/blocks/drop_path.hpp>
#include <fieldstep/blocks/hmlp_output.hpp>
#include <fieldstep/blocks/hmlp_stem.hpp>
#include <fieldstep/blocks/instance_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/blocks/log_position_bias.hpp>
#include <fieldstep/blocks/mlp.hpp>
#include <fieldstep/blocks/patch_embedding.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
#include <fieldstep/blocks/patch_recovery.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <fieldstep/blocks/relative_position_bias.hpp>
#include <fieldstep/blocks/resnet_block.hpp>
#include <fieldstep/blocks/rms_instance_norm.hpp>
#include <fieldstep/blocks/space_time_block.hpp>
#include <fieldstep/blocks/subsampled_linear.hpp>
#include <fieldstep/blocks/swin_layer.hpp>
#include <fieldstep/blocks/swin_stage.hpp>
#include <fieldstep/blocks/token_embedding.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/blocks/windowed_cosine_attention.hpp>

#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/metrics.hpp>
#include <fieldstep/core/name.hpp>
#include <fieldstep/core/packed.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/core/shape.hpp>
#include <fieldstep/core/tensor.hpp>
#include <fieldstep/core/trace.hpp>

#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/embed/history.hpp>
#include <fieldstep/embed/network.hpp>
#include <fieldstep/embed/registry.hpp>

#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/bytes.hpp>
#include <fieldstep/io/colormap.hpp>
#include <fieldstep/io/csv.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/dataset/mpp_split.hpp>
#include <fieldstep/io/dataset/poseidon_problems.hpp>
#include <fieldstep/io/dtype.hpp>
#include <fieldstep/io/image.hpp>
#include <fieldstep/io/key_map.hpp>
#include <fieldstep/io/lzf.hpp>
#include <fieldstep/io/mapped_file.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/pickle.hpp>
#include <fieldstep/io/pickle_machine.hpp>
#include <fieldstep/io/recognise.hpp>
#include <fieldstep/io/tensor_file.hpp>
#include <fieldstep/io/torch_checkpoint.hpp>
#include <fieldstep/io/vti.hpp>
#include <fieldstep/io/zip.hpp>

#include <fieldstep/models/avit.hpp>
#include <fieldstep/models/avit_expand.hpp>
#include <fieldstep/models/avit_variants.hpp>
#include <fieldstep/models/scot.hpp>
#include <fieldstep/models/scot_variants.hpp>

#include <fieldstep/ops/attention.hpp>
#include <fieldstep/ops/conv2d.hpp>
#include <fieldstep/ops/depthwise_conv.hpp>
#include <fieldstep/ops/dropout.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/loaders.hpp>
#include <fieldstep/ops/matmul.hpp>
#include <fieldstep/ops/resample.hpp>
#include <fieldstep/ops/standardise.hpp>
#include <fieldstep/ops/statistics.hpp>
#include <fieldstep/ops/vec.hpp>
#include <fieldstep/ops/window_attention.hpp>

#include <fieldstep/train/loss/channel_groups.hpp>
