#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/csv.hpp>
#include <fieldstep/io/detail/number_text.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::io {

/// Curves over a common axis, a plot a quantity and a line a field, such as nRMSE, VRMSE and maximum over the steps.
struct CurvePlot {
  std::string name;
  std::vector<Column> lines;
};

struct Curves {
  std::string title;
  Column axis;
  std::vector<CurvePlot> plots;
  std::vector<double> marks{};  ///< where on the axis every plot has a thin vertical line, such as switching times
};

/// What was written. Without gnuplot there is no picture, but its script is there.
struct CurveFiles {
  std::filesystem::path table, script, picture;
  bool drawn = false;
  std::string note;  ///< one line why there is no picture
};

namespace detail {

/// A text in gnuplot's single quotes, where only the quote itself is special.
inline std::string gnuplot_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "'";
}

/// Draws the table beside it into the picture beside it; names begin with ./ so that none is taken for a pipe.
inline std::string gnuplot_script(const Curves& curves, const std::string& stem) {
  constexpr std::size_t plot_width = 560, plot_height = 480;
  bool positive = true, negative = false;  // a logarithmic axis cannot show zero
  for (const CurvePlot& plot : curves.plots)
    for (const Column& line : plot.lines) {
      positive &= std::ranges::none_of(line.values, [](double v) { return v <= 0; });
      negative |= std::ranges::any_of(line.values, [](double v) { return v < 0; });
    }
  const std::string plots = number_text(curves.plots.size());
  const std::string size = number_text(plot_width * curves.plots.size()) + "," + number_text(plot_height);

  std::string script = "# To draw the picture again, run gnuplot on this file in its folder.\n";
  script += "if (!exists('picture')) picture = " + gnuplot_text("./" + stem + ".png") + "\n";
  script += "table = " + gnuplot_text("./" + stem + ".csv") + "\n";
  script += "set terminal pngcairo noenhanced size " + size + " font ',11'\n";
  script += R"(set output picture
set datafile separator ','
set grid xtics ytics linetype 1 linecolor rgb '#dddddd'
set border linecolor rgb '#5a5a5a'
set key below horizontal samplen 2
set rmargin 4
set format y '%g'
)";
  script += positive ? "set logscale y\n" : negative ? "" : "set yrange [0:*]\n";
  script += "set xlabel " + gnuplot_text(curves.axis.name) + "\n";
  const std::vector<double>& axis = curves.axis.values;
  for (const double mark : curves.marks) {
    // Off the axis it would be drawn into the plot beside.
    if (std::ranges::none_of(axis, [=](double v) { return v <= mark; }) ||
        std::ranges::none_of(axis, [=](double v) { return v >= mark; }))
      continue;
    const std::string at = number_text(mark);
    script += "set arrow from " + at + ", graph 0 to " + at + ", graph 1 nohead back linecolor rgb '#a0a0c8'\n";
  }
  script += "set multiplot layout 1," + plots + " title " + gnuplot_text(curves.title) + "\n";
  std::size_t column = 2;
  for (const CurvePlot& plot : curves.plots) {
    script += "set title " + gnuplot_text(plot.name) + "\nplot";
    for (const Column& line : plot.lines) {
      script += &line == plot.lines.data() ? " " : ", \\\n     ";
      script += "table using 1:" + number_text(column++) + " skip 1 with linespoints linewidth 2 pointtype 7 ";
      script += "pointsize 0.6 title " + gnuplot_text(line.name);
    }
    script += "\n";
  }
  return script + "unset multiplot\n";
}

/// A full disk or a killed gnuplot leaves a picture without its end.
inline bool ends_as_png(std::FILE* file) {
  constexpr std::string_view end_chunk("IEND\xae\x42\x60\x82");
  char tail[end_chunk.size()];
  return std::fseek(file, -static_cast<long>(sizeof tail), SEEK_END) == 0 &&
         std::fread(tail, 1, sizeof tail, file) == sizeof tail && std::string_view(tail, sizeof tail) == end_chunk;
}

/// Runs gnuplot on the script in `folder`, its output going to `picture`; no shell takes part. Returns its exit code,
/// 127 if there is no such program.
inline int run_gnuplot(const std::filesystem::path& folder, const std::string& script, std::FILE* picture) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(picture), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  std::string words[] = {"gnuplot", "--default-settings", "-e", "picture = '/dev/stdout'", "./" + script};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
  pid_t child = 0;
  const int refused = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (refused != 0) return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

}  // namespace detail

/// Writes folder/stem.csv, stem.gp and, if the program gnuplot is there, stem.png.
inline CurveFiles write_curves(const std::filesystem::path& folder, const std::string& stem, const Curves& curves) {
  CurveFiles files{.table = folder / (stem + ".csv"),
                   .script = folder / (stem + ".gp"),
                   .picture = folder / (stem + ".png"),
                   .drawn = false,
                   .note = {}};
  std::vector<Column> columns{curves.axis};
  for (const CurvePlot& plot : curves.plots)
    for (const Column& line : plot.lines) columns.push_back({plot.name + " " + line.name, line.values});
  write_csv(files.table, columns);
  write_text(files.script, detail::gnuplot_script(curves, stem));

  AtomicFile picture(files.picture);
  const int code = detail::run_gnuplot(folder, stem + ".gp", picture.stream());
  files.drawn = code == 0 && detail::ends_as_png(picture.stream());
  if (files.drawn)
    picture.commit();
  else if (code == 127)
    files.note = "gnuplot is not installed: " + files.script.string() + " is kept, the picture is not drawn";
  else
    files.note = "gnuplot could not draw " + files.script.string() + " (exit code " + std::to_string(code) + ")";
  return files;
}

}  // namespace fieldstep::io
