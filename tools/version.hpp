// SPDX-License-Identifier: GPL-2.0
// The version all three programs print.
#pragma once

namespace tarn::tools {

inline constexpr const char* kVersion = "0.1";

}  // namespace tarn::tools
