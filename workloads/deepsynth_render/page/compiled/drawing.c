/* Bitmaps onto a page: the same as draw_with_numpy in raster.py. */

#include "core.h"

#include <stdlib.h>
#include <string.h>

enum { WIDE = 16 }; /* pixels that are drawn at once */

/* One byte per pixel, 0 to 15, and WIDE more; always all zero between two calls. The interpreter's lock protects it. */
static struct {
    uint8_t *ink;
    Py_ssize_t size;
    int32_t *spans; /* for each row the first and the last column with ink, in pixels; last < first: none */
    Py_ssize_t height;
} canvas;

static int grow_canvas(Py_ssize_t width, Py_ssize_t height) {
    if (canvas.ink == NULL || width * height > canvas.size) {
        uint8_t *ink = calloc((size_t)(width * height) + WIDE, 1);
        if (ink == NULL)
            return 0;
        free(canvas.ink);
        canvas.ink = ink;
        canvas.size = width * height;
    }
    if (height > canvas.height) {
        int32_t *spans = realloc(canvas.spans, (size_t)height * 2 * sizeof *spans);
        if (spans == NULL)
            return 0;
        canvas.spans = spans;
        canvas.height = height;
    }
    for (Py_ssize_t y = 0; y < height; y++) {
        canvas.spans[2 * y] = INT32_MAX;
        canvas.spans[2 * y + 1] = -1;
    }
    return 1;
}

/* The larger of two values, byte by byte: eight at a time, which compiles to one instruction. */
static inline void darken(uint8_t *restrict area, const uint8_t *restrict ink, Py_ssize_t width) {
    Py_ssize_t x = 0;
    for (; x + 8 <= width; x += 8)
        for (int i = 0; i < 8; i++)
            area[x + i] = ink[x + i] > area[x + i] ? ink[x + i] : area[x + i];
    for (; x < width; x++)
        area[x] = ink[x] > area[x] ? ink[x] : area[x];
}

/* The same for at most WIDE pixels, without a loop. Reads WIDE bytes of both, and writes WIDE bytes of area. */
static inline void darken_narrow(uint8_t *area, const uint8_t *ink, const uint8_t *mask) {
    uint8_t old[WIDE], new[WIDE];
    memcpy(old, area, WIDE);
    memcpy(new, ink, WIDE);
    for (int i = 0; i < WIDE; i++) {
        new[i] &= mask[i];
        old[i] = new[i] > old[i] ? new[i] : old[i];
    }
    memcpy(area, old, WIDE);
}

/* Whether the bitmap lies in the atlas and on the page. No sum or product can overflow here. */
static int is_inside(const int64_t *box, int64_t atlas, int64_t page_width, int64_t page_height) {
    int64_t offset = box[0], width = box[1], height = box[2], left = box[3], top = box[4];
    return width >= 0 && width <= page_width && height >= 0 && height <= page_height && left >= 0 &&
           left <= page_width - width && top >= 0 && top <= page_height - height && offset >= 0 && offset <= atlas &&
           width * height <= atlas - offset;
}

/* WIDE bytes from MASKS + WIDE - width: 255 for the pixels of a row, 0 for those behind it. */
static const uint8_t MASKS[2 * WIDE] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static void widen_spans(int64_t left, int64_t width, int64_t top, int64_t height) {
    int32_t first = (int32_t)left, last = (int32_t)(left + width - 1);
    for (int32_t *span = canvas.spans + 2 * top, *end = span + 2 * height; span < end; span += 2) {
        span[0] = first < span[0] ? first : span[0];
        span[1] = last > span[1] ? last : span[1];
    }
}

/* atlas_end: behind the last pixel of the atlas. */
static void draw_bitmap(const uint8_t *bitmap, const uint8_t *atlas_end, const int64_t *box, Py_ssize_t page_width) {
    int64_t width = box[1], height = box[2], left = box[3], top = box[4];
    if (width == 0 || height == 0)
        return;
    widen_spans(left, width, top, height);
    uint8_t *area = canvas.ink + top * page_width + left;
    if (width <= WIDE && atlas_end - bitmap >= width * height + WIDE) {
        const uint8_t *mask = MASKS + WIDE - width;
        for (; height > 0; height--, area += page_width, bitmap += width)
            darken_narrow(area, bitmap, mask);
    } else {
        for (; height > 0; height--, area += page_width, bitmap += width)
            darken(area, bitmap, width);
    }
}

/* White paper: a byte for the filter, which is 0, and white pixels. */
static void clear(uint8_t *row, Py_ssize_t stride) {
    row[0] = 0;
    memset(row + 1, 0xFF, (size_t)(stride - 1));
}

/* Ink of 16 levels as ink of 4 levels, rounded. */
static const uint8_t COARSE[16] = {0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3};

/* Ink as a row of a page: 8 / depth pixels in each byte, the first one in its highest bits. */
static void pack_row(uint8_t *restrict row, const uint8_t *restrict ink, Py_ssize_t first, Py_ssize_t end, int depth) {
    if (depth == 4)
        for (Py_ssize_t x = first; x < end; x++)
            row[x] = (uint8_t)~(ink[2 * x] << 4 | ink[2 * x + 1]);
    else
        for (Py_ssize_t x = first; x < end; x++) {
            const uint8_t *four = ink + 4 * x;
            row[x] = (uint8_t) ~(COARSE[four[0]] << 6 | COARSE[four[1]] << 4 | COARSE[four[2]] << 2 | COARSE[four[3]]);
        }
}

/* Write the rows of the page, and clear the canvas. */
static void pack(uint8_t *rows, Py_ssize_t stride, Py_ssize_t height, int depth) {
    Py_ssize_t per_byte = 8 / depth, page_width = per_byte * (stride - 1);
    for (Py_ssize_t y = 0; y < height; y++, rows += stride) {
        clear(rows, stride);
        if (canvas.spans[2 * y + 1] < 0)
            continue;
        Py_ssize_t first = canvas.spans[2 * y] / per_byte, end = canvas.spans[2 * y + 1] / per_byte + 1;
        uint8_t *ink = canvas.ink + y * page_width;
        pack_row(rows + 1, ink, first, end, depth);
        memset(ink + per_byte * first, 0, (size_t)(per_byte * (end - first)));
    }
}

/* draw_page(rows, stride, atlas, bitmaps, depth): see _core.pyi. */
PyObject *draw_page(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer rows, atlas, boxes;
    Py_ssize_t stride;
    int depth;
    if (!PyArg_ParseTuple(arguments, "w*ny*y*i", &rows, &stride, &atlas, &boxes, &depth))
        return NULL;
    PyObject *result = NULL;
    Rows bitmaps;
    if (!as_rows(&boxes, 5, "bitmaps", &bitmaps))
        goto done;
    if (stride < 1 || stride > INT32_MAX / 4 || rows.len % stride || (depth != 4 && depth != 2)) {
        PyErr_Format(PyExc_ValueError, "rows: must be rows of %zd bytes and %d bits per pixel, got %zd bytes", stride,
                     depth, rows.len);
        goto done;
    }
    Py_ssize_t width = 8 / depth * (stride - 1), height = rows.len / stride;
    for (Py_ssize_t i = 0; i < bitmaps.count; i++)
        if (!is_inside(bitmaps.values + 5 * i, atlas.len, width, height)) {
            PyErr_Format(PyExc_ValueError, "bitmaps: number %zd is not inside the page or the atlas", i);
            goto done;
        }
    if (!grow_canvas(width, height)) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < bitmaps.count; i++)
        draw_bitmap((const uint8_t *)atlas.buf + bitmaps.values[5 * i], (const uint8_t *)atlas.buf + atlas.len,
                    bitmaps.values + 5 * i, width);
    pack(rows.buf, stride, height, depth);
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&rows);
    PyBuffer_Release(&atlas);
    PyBuffer_Release(&boxes);
    return result;
}
