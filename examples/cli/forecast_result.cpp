#include <examples/cli/forecast_result.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/io/vti.hpp>

#include <algorithm>
#include <cstdio>
#include <set>

namespace fieldstep::cli {

namespace {

std::size_t points_of(const io::DatasetInfo& info) {
  return static_cast<std::size_t>(info.height) * static_cast<std::size_t>(info.width);
}

/// step_007
std::string name_of_step(std::size_t step) {
  char text[32];
  std::snprintf(text, sizeof text, "step_%03zu", step);
  return text;
}

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// The first step, the last one and others at even distances between them, counted from 1.
std::set<std::size_t> pictured_steps(std::size_t steps, std::size_t pictures) {
  std::set<std::size_t> chosen;
  for (std::size_t i = 0; i < pictures; ++i)
    chosen.insert(pictures == 1 ? steps : 1 + (steps - 1) * i / (pictures - 1));
  return chosen;
}

void write_picture(const std::filesystem::path& path, const ForecastResult& result, std::size_t step,
                   std::span<const float> reference) {
  const io::DatasetInfo& info = result.data.info();
  const std::size_t points = points_of(info);
  io::Panels panels{.title = result.title + ", step " + std::to_string(step) +
                             " (t = " + short_text(result.schedule[step - 1].time(info)) + ")",
                    .height = info.height,
                    .width = info.width,
                    .rows = {}};
  for (std::size_t f = 0; f < info.fields.size(); ++f)
    panels.rows.push_back({.field = info.fields[f],
                           .unit = info.units[f],
                           .reference = reference.empty() ? reference : reference.subspan(f * points, points),
                           .forecast = result.frame(step).subspan(f * points, points)});
  io::write_panels(path, panels);
}

/// Whether two fields are the components of a velocity, as any of the sets calls them.
bool is_velocity(const std::string& x, const std::string& y) {
  return (x == "Vx" && y == "Vy") || (x == "u" && y == "v") || (x == "velocity_x" && y == "velocity_y");
}

/// The fields of a frame for ParaView, a velocity as one vector.
void append_arrays(std::vector<io::VtiArray>& arrays, const io::DatasetInfo& info, std::span<const float> frame,
                   const std::string& suffix) {
  const std::size_t points = points_of(info);
  for (std::size_t f = 0; f < info.fields.size(); ++f) {
    const auto part = frame.subspan(f * points, points);
    if (f > 0 && is_velocity(info.fields[f - 1], info.fields[f])) {
      arrays.back().name = "velocity" + suffix;
      arrays.back().components.push_back(part);
    } else {
      arrays.push_back({info.fields[f] + suffix, {part}});
    }
  }
}

void write_paraview(const std::filesystem::path& path, const ForecastResult& result, std::size_t step,
                    std::span<const float> reference) {
  const io::DatasetInfo& info = result.data.info();
  const io::Domain domain = info.domain.value_or(io::Domain{});
  io::VtiFrame frame{.height = info.height,
                     .width = info.width,
                     .x0 = domain.x0,
                     .y0 = domain.y0,
                     .dx = domain.dx,
                     .dy = domain.dy,
                     .time = result.schedule[step - 1].time(info),
                     .arrays = {}};
  append_arrays(frame.arrays, info, result.frame(step), "");
  if (!reference.empty()) append_arrays(frame.arrays, info, reference, " (reference)");
  io::write_vti(path, frame);
}

io::Curves error_curves(const ForecastResult& result) {
  const io::DatasetInfo& info = result.data.info();
  const auto plot = [&](const std::string& name, double FieldError::*quantity) {
    io::CurvePlot curves{name, {}};
    for (std::size_t f = 0; f < info.fields.size(); ++f) {
      io::Column line{info.fields[f], {}};
      for (const std::vector<FieldError>& step : result.errors) line.values.push_back(step[f].*quantity);
      curves.lines.push_back(std::move(line));
    }
    return curves;
  };
  io::Curves curves{
      result.title,
      {"step", {}},
      {plot("nRMSE", &FieldError::nrmse), plot("VRMSE", &FieldError::vrmse), plot("largest error", &FieldError::max)}};
  if (!result.group_errors.empty()) {
    io::CurvePlot plotted{"relative L1 in %", {}};
    for (std::size_t g = 0; g < result.group_errors.front().size(); ++g) {
      io::Column line{result.group_name(g), {}};
      for (const std::vector<GroupError>& step : result.group_errors) line.values.push_back(step[g].median);
      plotted.lines.push_back(std::move(line));
    }
    curves.plots.push_back(std::move(plotted));
  }
  for (const std::size_t step : result.compared) curves.axis.values.push_back(static_cast<double>(step));
  return curves;
}

}  // namespace

std::size_t ForecastResult::frame_size() const { return data.info().fields.size() * points_of(data.info()); }

std::span<const float> ForecastResult::frame(std::size_t step) const {
  return std::span(forecast).subspan((step - 1) * frame_size(), frame_size());
}

std::string ForecastResult::group_name(std::size_t group) const {
  const io::DatasetInfo& info = data.info();
  std::string name;
  for (std::size_t f = info.groups[group]; f < info.groups[group + 1]; ++f)
    name.append(name.empty() ? "" : " ").append(info.fields[f]);
  return name;
}

ForecastFiles write_forecast(const std::filesystem::path& folder, ForecastResult& result, std::size_t pictures,
                             const std::function<void()>& advance, const std::function<void()>& compare) {
  const io::DatasetInfo& info = result.data.info();
  const std::set<std::size_t> pictured = pictured_steps(result.steps(), pictures);
  ForecastFiles files;
  std::filesystem::create_directory(folder / "paraview");
  std::vector<io::PvdEntry> series;
  for (std::size_t step = 1; step <= result.steps(); ++step) {
    std::vector<float> reference;
    if (const auto frame = result.schedule[step - 1].frame(info)) {
      reference = result.data.read_frames(result.sample, *frame, 1);
      result.errors.push_back(field_errors(result.frame(step), std::span<const float>(reference), info.fields.size()));
      result.compared.push_back(step);
    }
    const std::string name = name_of_step(step);
    if (pictured.contains(step)) {
      write_picture(folder / (name + ".png"), result, step, reference);
      files.pictures.push_back(name + ".png");
    }
    write_paraview(folder / "paraview" / (name + ".vti"), result, step, reference);
    series.push_back({result.schedule[step - 1].time(info), "paraview/" + name + ".vti"});
    advance();
  }
  compare();
  io::write_pvd(folder / "forecast.pvd", series);
  io::write_npy(folder / "forecast.npy", result.forecast,
                {static_cast<std::int64_t>(result.steps()), static_cast<std::int64_t>(info.fields.size()), info.height,
                 info.width});
  if (!result.errors.empty()) {
    const io::CurveFiles curves = io::write_curves(folder, "errors", error_curves(result));
    if (curves.drawn) files.curves = curves.picture.filename().string();
    files.note = curves.note;
  }
  return files;
}

}  // namespace fieldstep::cli
