// The picture that top shows. The caller's privilege; no I/O.
#pragma once

#include <string>
#include <vector>

#include "dmctl/top_model.hh"

namespace dm::dmctl {

// Rows of daemons that a screen of that size shows.
std::size_t rows_of_screen(Size size);
// At most size.rows lines of at most size.columns. `problem`: why the picture is an old one; "" where it is not.
std::vector<std::string> draw_top(const TopModel &model, const std::string &problem, Size size, bool colours);

}  // namespace dm::dmctl
