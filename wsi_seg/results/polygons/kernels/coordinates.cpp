// Coordinates of outlines as GeoJSON writes them: what coordinates_text.py writes, byte for byte.
//
// Numbers are whole hundredths, so that their digits are those of an integer. Any others are left to the caller.

#include <cmath>
#include <cstdint>

static const double MOST = 1e14;  // hundredths: all of fifteen digits, so that no shorter number is the same

// Write a number; nullptr if it is not of hundredths.
static char *write_number(double value, char *to) {
    const double hundredths = std::rint(value * 100);
    if (!(std::fabs(hundredths) < MOST) || hundredths / 100 != value) return nullptr;
    if (std::signbit(value)) *to++ = '-';
    const uint64_t all = (uint64_t)std::fabs(hundredths);
    uint64_t whole = all / 100;
    const unsigned part = (unsigned)(all % 100);
    char digits[20], *first = digits + 20;
    do *--first = (char)('0' + whole % 10);
    while (whole /= 10);
    while (first < digits + 20) *to++ = *first++;
    if (part) {
        *to++ = '.';
        *to++ = (char)('0' + part / 10);
        if (part % 10) *to++ = (char)('0' + part % 10);
    }
    return to;
}

static char *write_rings(const double *xy, const int64_t *ring_offsets, int64_t ring, int64_t end, char *to) {
    *to++ = '[';
    for (; ring < end; ring++) {
        *to++ = '[';
        for (int64_t point = ring_offsets[ring]; point < ring_offsets[ring + 1]; point++) {
            *to++ = '[';
            if (!(to = write_number(xy[2 * point], to))) return nullptr;
            *to++ = ',';
            if (!(to = write_number(xy[2 * point + 1], to))) return nullptr;
            *to++ = ']', *to++ = ',';
        }
        to[-1] = ']';  // in place of the last comma: a ring has points
        *to++ = ',';
    }
    to[-1] = ']';
    return to;
}

// Write the coordinates of each outline, one after another, and where each ends. An outline has one part or, if
// it is `several`, any number in a further pair of brackets; an empty one has none. No part or ring is without
// points. Returns 0, or 1 if there is a number that is not of hundredths.
extern "C" int64_t wsi_seg_coordinates(const double *xy, const int64_t *ring_offsets, const int64_t *part_offsets,
                                       const int64_t *outline_offsets, const uint8_t *several, int64_t outlines,
                                       char *text, int64_t *ends) {
    char *to = text;
    for (int64_t outline = 0; outline < outlines; outline++) {
        const int64_t begin = outline_offsets[outline], end = outline_offsets[outline + 1];
        const bool bracketed = several[outline] || begin == end;
        if (bracketed) *to++ = '[';
        for (int64_t part = begin; part < end; part++) {
            if (part > begin) *to++ = ',';
            to = write_rings(xy, ring_offsets, part_offsets[part], part_offsets[part + 1], to);
            if (!to) return 1;
        }
        if (bracketed) *to++ = ']';
        ends[outline] = to - text;
    }
    return 0;
}
