// What a call has found, until its caller has made room for it (wsi_seg/results/polygons/compiled.py).

#pragma once

#include <cstdint>
#include <vector>

typedef std::vector<int32_t> Numbers;

struct Found {
    std::vector<Numbers> parts;
};
