/* From the layout of a document to the bitmaps of its pages: the same as place_with_numpy in raster.py. */

#include "core.h"

/* Columns, as in words.py and glyphs.py. */
enum { FIRST_GLYPH = 3, GLYPHS = 4, PIECE_COLUMNS = 7 };
enum { SLOT, X, Y, GLYPH_COLUMNS };
enum { OFFSET, WIDTH, HEIGHT, LEFT, TOP, BOX_COLUMNS };
enum { PHASES = 4 };

/* Beyond this no sum below could be trusted; a real page is far smaller. In 1/64 px, or lines, or pixels. */
#define FAR INT64_C(0x1000000000)
#define PITCH_LIMIT 0x100000

typedef struct {
    Rows on_lines, x, page, row; /* of the layout: (n,) */
    Rows rows;                   /* (pieces,) of the document */
    SmallRows pieces, glyphs, boxes; /* of the caches */
    int64_t width, height, first_baseline, line_pitch;
} Document;

static int is_near(int64_t value) { return -FAR < value && value < FAR; }

/* The row of `pieces` for the piece n on lines; NULL if an index is wrong. */
static const int32_t *find_piece(const Document *document, Py_ssize_t n) {
    int64_t piece = document->on_lines.values[n];
    if (piece < 0 || piece >= document->rows.count)
        return NULL;
    int64_t row = document->rows.values[piece];
    if (row < 0 || row >= document->pieces.count)
        return NULL;
    const int32_t *found = document->pieces.values + row * PIECE_COLUMNS;
    int64_t first = found[FIRST_GLYPH], count = found[GLYPHS], all = document->glyphs.count;
    return first >= 0 && count >= 0 && first <= all && count <= all - first ? found : NULL;
}

/* The glyphs of all pieces on lines, and how many of them are on each page; -1 for a wrong index. */
static Py_ssize_t count_glyphs(const Document *document, int64_t *counts, int64_t pages) {
    Py_ssize_t total = 0;
    int64_t before = 0;
    for (Py_ssize_t n = 0; n < document->on_lines.count; n++) {
        const int32_t *piece = find_piece(document, n);
        int64_t page = document->page.values[n];
        if (piece == NULL || page < before || page >= pages || !is_near(document->row.values[n]) ||
            !is_near(document->x.values[n]) || piece[GLYPHS] > PY_SSIZE_T_MAX / 64 - total)
            return -1;
        before = page;
        counts[page] += piece[GLYPHS];
        total += (Py_ssize_t)piece[GLYPHS];
    }
    return total;
}

/* Write the bitmap of one glyph. 1: it is on the page; 0: it reaches beyond its edge; -1: a wrong index. */
static int place(const Document *document, const int32_t *glyph, int64_t x, int64_t baseline, int64_t *bitmap) {
    int64_t slot = glyph[SLOT];
    if (slot < 0 || slot >= document->boxes.count / PHASES)
        return -1;
    int64_t at = ((glyph[X] + x) * PHASES + 32) >> 6; /* from 1/64 px to the nearest 1/PHASES px; rounds downwards */
    const int32_t *box = document->boxes.values + (slot * PHASES + (at & (PHASES - 1))) * BOX_COLUMNS;
    bitmap[OFFSET] = box[OFFSET];
    bitmap[WIDTH] = box[WIDTH];
    bitmap[HEIGHT] = box[HEIGHT];
    bitmap[LEFT] = box[LEFT] + (at >> 2);
    bitmap[TOP] = baseline - (((int64_t)glyph[Y] + 32) >> 6) - box[TOP];
    return bitmap[LEFT] >= 0 && bitmap[TOP] >= 0 && bitmap[LEFT] + bitmap[WIDTH] <= document->width &&
           bitmap[TOP] + bitmap[HEIGHT] <= document->height;
}

/* As `place`, for all glyphs. */
static int place_all(const Document *document, int64_t *bitmaps) {
    for (Py_ssize_t n = 0; n < document->on_lines.count; n++) {
        const int32_t *piece = find_piece(document, n);
        const int32_t *glyph = document->glyphs.values + (Py_ssize_t)piece[FIRST_GLYPH] * GLYPH_COLUMNS;
        int64_t baseline = document->first_baseline + document->row.values[n] * document->line_pitch;
        for (int64_t i = 0; i < piece[GLYPHS]; i++, glyph += GLYPH_COLUMNS, bitmaps += BOX_COLUMNS) {
            int placed = place(document, glyph, document->x.values[n], baseline, bitmaps);
            if (placed != 1)
                return placed;
        }
    }
    return 1;
}

static PyObject *build(const Document *document, int64_t pages) {
    PyObject *counts = NULL, *bitmaps = NULL, *result = NULL;
    counts = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(pages * (int64_t)sizeof(int64_t)));
    if (counts == NULL)
        return NULL;
    int64_t *count = (int64_t *)(void *)PyBytes_AsString(counts);
    for (int64_t page = 0; page < pages; page++)
        count[page] = 0;
    Py_ssize_t glyphs = count_glyphs(document, count, pages);
    if (glyphs < 0)
        goto wrong;
    bitmaps = PyBytes_FromStringAndSize(NULL, glyphs * BOX_COLUMNS * (Py_ssize_t)sizeof(int64_t));
    if (bitmaps == NULL)
        goto done;
    int placed = place_all(document, (int64_t *)(void *)PyBytes_AsString(bitmaps));
    if (placed < 0)
        goto wrong;
    result = placed ? PyTuple_Pack(2, bitmaps, counts) : Py_NewRef(Py_None);
    goto done;
wrong:
    PyErr_SetString(PyExc_ValueError, "the layout names a piece, glyph, page or place that does not exist");
done:
    Py_XDECREF(counts);
    Py_XDECREF(bitmaps);
    return result;
}

/* place_bitmaps(on_lines, x, page, row, rows, pieces, glyphs, boxes, pages, width, height, first_baseline,
   line_pitch): see _core.pyi. */
PyObject *place_bitmaps(PyObject *module, PyObject *arguments) {
    (void)module;
    enum { BUFFERS = 8 };
    static const char *const names[] = {"on_lines", "x", "page", "row", "rows"};
    Py_buffer buffers[BUFFERS];
    long long pages, width, height, first_baseline, line_pitch;
    if (!PyArg_ParseTuple(
            arguments, "y*y*y*y*y*y*y*y*LLLLL", &buffers[0], &buffers[1], &buffers[2], &buffers[3], &buffers[4],
            &buffers[5], &buffers[6], &buffers[7], &pages, &width, &height, &first_baseline, &line_pitch))
        return NULL;
    PyObject *result = NULL;
    Document document = {.width = width, .height = height, .first_baseline = first_baseline, .line_pitch = line_pitch};
    Rows *found[] = {&document.on_lines, &document.x, &document.page, &document.row, &document.rows};
    for (int i = 0; i < 5; i++)
        if (!as_rows(&buffers[i], 1, names[i], found[i]))
            goto done;
    if (!as_small_rows(&buffers[5], PIECE_COLUMNS, "pieces", &document.pieces) ||
        !as_small_rows(&buffers[6], GLYPH_COLUMNS, "glyphs", &document.glyphs) ||
        !as_small_rows(&buffers[7], BOX_COLUMNS, "boxes", &document.boxes))
        goto done;
    Py_ssize_t n = document.on_lines.count;
    int is_right = n == document.x.count && n == document.page.count && n == document.row.count && pages >= 0 &&
                   pages <= INT32_MAX && -PITCH_LIMIT < line_pitch && line_pitch < PITCH_LIMIT && is_near(first_baseline);
    if (is_right)
        result = build(&document, pages);
    else
        PyErr_SetString(PyExc_ValueError, "the arrays of the layout differ in length, or a measure is out of range");
done:
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&buffers[i]);
    return result;
}
