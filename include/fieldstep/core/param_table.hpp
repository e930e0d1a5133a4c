#pragma once
#include <fieldstep/core/params.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fieldstep {

/// One parameter of a model, as run-time code sees it: its place in the flat arena and how the original's row-major
/// numbers lie there.
struct ParamEntry {
  static constexpr std::size_t max_rank = 6;

  ParamPath path;  ///< the original framework's state-dict key
  int rank = 0;    ///< of the original's shape
  std::array<int, max_rank> extents{};
  std::size_t size = 1;    ///< numbers in the original
  std::size_t offset = 0;  ///< of the first number in the arena
  std::size_t stored = 1;  ///< numbers in the arena, zero padding included
  Init init;

  /// A packed matrix: `view` splits the original's axes; its first `n_rank` entries of `order` make up the column n,
  /// the others the row k. panel = 0: the arena holds the numbers in the original's order.
  int panel = 0, lanes = 0, K = 0, N = 0, view_rank = 0, n_rank = 0;
  std::array<int, max_rank> view{}, order{};

  std::span<const int> shape() const { return {extents.data(), static_cast<std::size_t>(rank)}; }
};

namespace detail {

template <class Leaf>
constexpr void describe(ParamEntry& entry) {
  const auto copy = [](auto& to, const auto& from, std::size_t at = 0) {
    for (std::size_t i = 0; i < from.size(); ++i) to[at + i] = from[i];
  };
  if constexpr (requires { typename Leaf::Layout; }) {
    using Layout = typename Leaf::Layout;
    entry.rank = Layout::Original::rank;
    copy(entry.extents, Layout::Original::extents);
    entry.panel = Leaf::panel, entry.lanes = Leaf::lanes, entry.K = Leaf::K, entry.N = Leaf::N;
    entry.view_rank = Layout::View::rank;
    entry.n_rank = static_cast<int>(Layout::n_axes.size());
    copy(entry.view, Layout::View::extents);
    copy(entry.order, Layout::n_axes);
    copy(entry.order, Layout::k_axes, Layout::n_axes.size());
  } else {
    entry.rank = static_cast<int>(Leaf::rank());
    for (std::size_t r = 0; r < Leaf::rank(); ++r) entry.extents[r] = static_cast<int>(Leaf::static_extent(r));
  }
  for (int r = 0; r < entry.rank; ++r)
    entry.size *= static_cast<std::size_t>(entry.extents[static_cast<std::size_t>(r)]);
  entry.stored = stored_size<Leaf>();
}

template <class P>
constexpr std::size_t leaf_count() {
  P params{};
  std::size_t count = 0;
  for_each_param(params, [&](const ParamPath&, auto&, Init) { ++count; });
  return count;
}

}  // namespace detail

/// The tree P flattened, in state-dict order.
template <class P>
constexpr auto make_param_table() {
  std::array<ParamEntry, detail::leaf_count<P>()> table{};
  P params{};
  std::size_t i = 0, offset = 0;
  for_each_param(params, [&](const ParamPath& path, auto& leaf, Init init) {
    ParamEntry& entry = table[i++];
    detail::describe<std::remove_cvref_t<decltype(leaf)>>(entry);
    entry.path = path, entry.init = init, entry.offset = offset;
    offset += aligned_count(entry.stored);
  });
  return table;
}

/// A model's parameters for run-time code (loaders, optimizers, reports): the flat table.
using ParamTable = std::span<const ParamEntry>;

/// Numbers in the original's tensors, the count papers quote: without buffers.
constexpr std::size_t param_count(ParamTable table) {
  std::size_t count = 0;
  for (const ParamEntry& entry : table) count += entry.init.trained ? entry.size : 0;
  return count;
}

/// For entry e of the original (row-major, in e's view split into column n and row k): source = columns[n] + rows[k].
struct MatrixOffsets {
  std::vector<std::size_t> columns, rows;
};

inline MatrixOffsets matrix_offsets(const ParamEntry& entry) {
  std::array<std::size_t, ParamEntry::max_rank> stride{};
  std::size_t s = 1;
  for (int a = entry.view_rank; a-- > 0;) {
    stride[static_cast<std::size_t>(a)] = s;
    s *= static_cast<std::size_t>(entry.view[static_cast<std::size_t>(a)]);
  }
  const auto walk = [&](int first, int last, int count) {
    std::vector<std::size_t> offsets(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      int rest = i;
      for (int a = last; a-- > first;) {
        const auto axis = static_cast<std::size_t>(entry.order[static_cast<std::size_t>(a)]);
        offsets[static_cast<std::size_t>(i)] += static_cast<std::size_t>(rest % entry.view[axis]) * stride[axis];
        rest /= entry.view[axis];
      }
    }
    return offsets;
  };
  return {walk(0, entry.n_rank, entry.N), walk(entry.n_rank, entry.view_rank, entry.K)};
}

/// Copies the original's numbers (row-major, any arithmetic type) to their place in the arena and zeroes the padding.
template <class Real, class Source>
void import_param(const ParamEntry& entry, const Source* source, Real* arena) {
  Real* to = arena + entry.offset;
  if (entry.panel == 0) {
    for (std::size_t i = 0; i < entry.size; ++i) to[i] = static_cast<Real>(source[i]);
    return;
  }
  const MatrixOffsets at = matrix_offsets(entry);
  for (int first = 0; first < entry.N; first += entry.panel) {
    const int used = std::min(entry.panel, entry.N - first);
    const int width = (used + entry.lanes - 1) / entry.lanes * entry.lanes;
    const std::size_t* column = at.columns.data() + first;
    // A cache line of a column at a time: columns a power of two apart would push each other out of the cache.
    constexpr int block = 16;
    for (int k = 0; k < entry.K; k += block) {
      const int rows = std::min(block, entry.K - k);
      const std::size_t* row = at.rows.data() + k;
      for (int n = 0; n < used; ++n)
        for (int i = 0; i < rows; ++i) to[i * width + n] = static_cast<Real>(source[column[n] + row[i]]);
      for (int i = 0; i < rows; ++i)
        for (int n = used; n < width; ++n) to[i * width + n] = Real(0);
      to += rows * width;
    }
  }
}

/// The inverse: the arena's numbers in the original's order.
template <class Real, class Target>
void export_param(const ParamEntry& entry, const Real* arena, Target* target) {
  const Real* from = arena + entry.offset;
  if (entry.panel == 0) {
    for (std::size_t i = 0; i < entry.size; ++i) target[i] = static_cast<Target>(from[i]);
    return;
  }
  const MatrixOffsets at = matrix_offsets(entry);
  for (int first = 0; first < entry.N; first += entry.panel) {
    const int used = std::min(entry.panel, entry.N - first);
    const int width = (used + entry.lanes - 1) / entry.lanes * entry.lanes;
    const std::size_t* column = at.columns.data() + first;
    for (int k = 0; k < entry.K; ++k, from += width) {
      Target* row = target + at.rows[static_cast<std::size_t>(k)];
      for (int n = 0; n < used; ++n) row[column[n]] = static_cast<Target>(from[n]);
    }
  }
}

}  // namespace fieldstep
