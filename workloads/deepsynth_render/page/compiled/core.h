/* What the files of this extension share. Only the stable ABI of Python 3.11 is used: one file works for later ones. */

#ifndef DEEPSYNTH_CORE_H
#define DEEPSYNTH_CORE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>

/* An array of a fixed number of columns: (count, columns) int64, C-contiguous. */
typedef struct {
    const int64_t *values;
    Py_ssize_t count;
} Rows;

/* The same of int32: what the caches hold. */
typedef struct {
    const int32_t *values;
    Py_ssize_t count;
} SmallRows;

/* Set an exception and return 0 unless the buffer holds whole, aligned rows of int64. */
static inline int as_rows(const Py_buffer *buffer, Py_ssize_t columns, const char *name, Rows *rows) {
    if (buffer->len % (columns * (Py_ssize_t)sizeof(int64_t)) || (uintptr_t)buffer->buf % sizeof(int64_t)) {
        PyErr_Format(PyExc_ValueError, "%s: must be rows of %zd int64, got %zd bytes", name, columns, buffer->len);
        return 0;
    }
    rows->values = buffer->buf;
    rows->count = buffer->len / (columns * (Py_ssize_t)sizeof(int64_t));
    return 1;
}

static inline int as_small_rows(const Py_buffer *buffer, Py_ssize_t columns, const char *name, SmallRows *rows) {
    if (buffer->len % (columns * (Py_ssize_t)sizeof(int32_t)) || (uintptr_t)buffer->buf % sizeof(int32_t)) {
        PyErr_Format(PyExc_ValueError, "%s: must be rows of %zd int32, got %zd bytes", name, columns, buffer->len);
        return 0;
    }
    rows->values = buffer->buf;
    rows->count = buffer->len / (columns * (Py_ssize_t)sizeof(int32_t));
    return 1;
}

PyObject *break_lines(PyObject *module, PyObject *arguments);
PyObject *list_characters(PyObject *module, PyObject *argument);
PyObject *draw_glyph(PyObject *module, PyObject *arguments);
PyObject *draw_page(PyObject *module, PyObject *arguments);
PyObject *measure_text(PyObject *module, PyObject *argument);
PyObject *place_bitmaps(PyObject *module, PyObject *arguments);
extern PyType_Spec shaper_type;
extern PyType_Spec word_table;

/* What sets a word that a table lacks. Returns the number of its pieces, the first of which is *first; 0 if the word stays
   unknown; -1 with an exception. */
typedef int (*SetWord)(void *setting, const char *word, Py_ssize_t length, int64_t *first);

/* As WordTable.find, but new words are set. set: NULL if not. */
PyObject *find_and_set(PyObject *table, PyObject *text, SetWord set, void *setting);
int is_word_table(PyObject *object);

#endif
