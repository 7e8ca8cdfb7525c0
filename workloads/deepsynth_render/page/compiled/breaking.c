/* Pieces into lines: the same as break_in_python in lines.py. */

#include "core.h"

#include <stdlib.h>

enum { ADVANCE, SPACE, GLYPHS = 4, PIECE_COLUMNS = 7 };
enum { START, END, CLOSING, LINE_COLUMNS };

typedef struct {
    Rows pieces;          /* (n, 7) */
    Rows glued;           /* (n,), or none */
    const char *is_feed;  /* (n,) */
    int64_t *edges;       /* (n, 2): left and right */
    int64_t width;
    int64_t *lines;
    Py_ssize_t count;     /* of lines; there is room for n + 1 */
} Text;

static int64_t get_left(const Text *text, Py_ssize_t piece) { return text->edges[2 * piece]; }
static int64_t get_right(const Text *text, Py_ssize_t piece) { return text->edges[2 * piece + 1]; }

/* Edges as if the document were one endless line. 0 if a number is too large to be added up. */
static int compute_edges(Text *text) {
    const int64_t limit = INT64_C(1) << 40;
    int64_t x = 0;
    for (Py_ssize_t i = 0; i < text->pieces.count; i++) {
        int64_t advance = text->pieces.values[PIECE_COLUMNS * i + ADVANCE];
        int64_t space = text->pieces.values[PIECE_COLUMNS * i + SPACE];
        if (advance < -limit || advance > limit || space < -limit || space > limit || x > INT64_MAX / 4 ||
            x < -INT64_MAX / 4)
            return 0;
        text->edges[2 * i] = x;
        text->edges[2 * i + 1] = x + advance;
        x += advance + space;
    }
    return 1;
}

/* The first piece of start to end whose right edge is beyond a limit, as Python's bisect_right finds it. */
static Py_ssize_t find_stop(const Text *text, Py_ssize_t start, Py_ssize_t end, int64_t limit) {
    while (start < end) {
        Py_ssize_t middle = start + (end - start) / 2;
        if (limit < get_right(text, middle))
            end = middle;
        else
            start = middle + 1;
    }
    return start;
}

static Py_ssize_t step_back(const Text *text, Py_ssize_t start, Py_ssize_t stop) {
    Py_ssize_t place = stop;
    while (place > start && text->glued.values[place - 1])
        place--;
    return place > start ? place : stop;
}

static void append(Text *text, Py_ssize_t start, Py_ssize_t end, int closing) {
    int64_t *line = text->lines + LINE_COLUMNS * text->count++;
    line[START] = start;
    line[END] = end;
    line[CLOSING] = closing;
}

static void break_paragraph(Text *text, Py_ssize_t start, Py_ssize_t end) {
    while (start < end) {
        Py_ssize_t stop = find_stop(text, start, end, get_left(text, start) + text->width);
        if (text->glued.values != NULL && stop < end)
            stop = step_back(text, start, stop);
        if (stop <= start) /* a piece wider than a line */
            stop = start + 1;
        append(text, start, stop, stop == end);
        if (stop == end)
            return;
        start = stop;
        while (text->pieces.values[PIECE_COLUMNS * start + GLYPHS] == 0 && start + 1 < end)
            start++;
    }
    append(text, start, end, 1); /* an empty paragraph */
}

static PyObject *break_text(Text *text) {
    Py_ssize_t count = text->pieces.count, start = 0;
    if (!compute_edges(text)) {
        PyErr_SetString(PyExc_ValueError, "pieces: an advance or a space is too large");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (text->is_feed[i]) {
            break_paragraph(text, start, i);
            start = i + 1;
        }
    break_paragraph(text, start, count);
    return PyBytes_FromStringAndSize((const char *)text->lines,
                                     text->count * LINE_COLUMNS * (Py_ssize_t)sizeof(int64_t));
}

/* break_lines(pieces, is_feed, width, glued): see _core.pyi. */
PyObject *break_lines(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer pieces, feeds, glued;
    long long width;
    if (!PyArg_ParseTuple(arguments, "y*y*Lz*", &pieces, &feeds, &width, &glued))
        return NULL;
    PyObject *result = NULL;
    Text text = {.is_feed = feeds.buf, .width = width};
    if (!as_rows(&pieces, PIECE_COLUMNS, "pieces", &text.pieces) ||
        (glued.buf != NULL && !as_rows(&glued, 1, "glued", &text.glued)))
        goto done;
    Py_ssize_t count = text.pieces.count;
    if (feeds.len != count || (glued.buf != NULL && text.glued.count != count) || width < 0 || width > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the arrays of the pieces differ in length, or the width is out of range");
        goto done;
    }
    text.edges = malloc(((size_t)count * 2 + 1) * sizeof *text.edges);
    /* Each piece begins at most one line, and each line feed an empty one more. */
    text.lines = malloc(((size_t)count + 1) * LINE_COLUMNS * sizeof *text.lines);
    result = text.edges != NULL && text.lines != NULL ? break_text(&text) : PyErr_NoMemory();
    free(text.edges);
    free(text.lines);
done:
    PyBuffer_Release(&pieces);
    PyBuffer_Release(&feeds);
    PyBuffer_Release(&glued);
    return result;
}
