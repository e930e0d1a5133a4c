#pragma once
#include <string_view>

/// A 5 x 7 bitmap font for ASCII 32 to 126, so that pictures need no font files.
namespace fieldstep::io::detail {

inline constexpr int glyph_width = 5, glyph_height = 7;

/// Seven digits a character, one a row from top to bottom; the five bits of a base-32 digit are the dots from left to
/// right.
// clang-format off
inline constexpr std::string_view glyph_rows =
    "00000004444004AAA0000AAVAVAA4FKE5U4OP248J3CIK8LIDC4800002488842842224804LEL40044V440"
    "0000C48000V00000000CC01248G0EHJLPHE4C4444EEH1248VV2421HE26AIV22VGU11HE68GUHHEV124888"
    "EHHEHHEEHHF12C0CC0CC00CC0C48248G84200V0V008421248EH12404EH1DLLEEHHHVHHUHHUHHUEHGGGHE"
    "SIHHHISVGGUGGVVGGUGGGEHGNHHFHHHVHHHE44444E72222ICHIKOKIHGGGGGGVHRLLHHHHHPLJHHEHHHHHE"
    "UHHUGGGEHHHLIDUHHUKIHFGGE11UV444444HHHHHHEHHHHHA4HHHLLLAHHA4AHHHHHA444V1248GVE88888E"
    "0G84210E22222E4AH0000000000V842000000E1FHFGGMPHHU00EGGHE11DJHHF00EHVGE698S88800FHF1E"
    "GGMPHHH40C444E20622ICGGIKOKIC44444E00QLLHH00MPHHH00EHHHE00UHUGG00DJF1100MPGGG00FGE1U"
    "88S889600HHHJD00HHHA400HHLLA00HA4AH00HHF1E00V248V244844244444448442448008L200";
// clang-format on
static_assert(glyph_rows.size() == glyph_height * ('~' - ' ' + 1));

/// Whether the dot is set; characters that the font lacks show as a question mark.
constexpr bool glyph_dot(char character, int row, int column) {
  if (character < ' ' || character > '~') character = '?';
  const char digit =
      glyph_rows[static_cast<std::size_t>(character - ' ') * glyph_height + static_cast<std::size_t>(row)];
  const int bits = digit <= '9' ? digit - '0' : digit - 'A' + 10;
  return (bits >> (glyph_width - 1 - column) & 1) != 0;
}

}  // namespace fieldstep::io::detail
