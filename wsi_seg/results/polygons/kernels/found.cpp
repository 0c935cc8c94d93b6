// Hand over what a call has found: first the sizes of its parts, then the parts themselves.

#include "found.h"

#include <cstring>

extern "C" void wsi_seg_sizes(const Found *found, int64_t *sizes) {
    for (const Numbers &part : found->parts) *sizes++ = (int64_t)part.size();
}

extern "C" void wsi_seg_take(Found *found, int32_t **to) {
    for (const Numbers &part : found->parts) {
        if (!part.empty()) std::memcpy(*to, part.data(), part.size() * sizeof(int32_t));
        to++;
    }
    delete found;
}
