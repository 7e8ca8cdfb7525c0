/* The characters of a text: the same as list_in_python in scripts/properties.py, and measure_in_python in density.py. */

#include "core.h"

#include <stdlib.h>
#include <string.h>

enum { CODEPOINTS = 0x110000 };

/* A bit for each code point; always all zero between two calls. The interpreter's lock protects it. */
static uint64_t seen[CODEPOINTS / 64];

/* The code point at `at`, and its bytes. The text is UTF-8 of Python's, so it is valid. */
static uint32_t decode(const unsigned char *at, int *length) {
    if (at[0] < 0xE0) {
        *length = 2;
        return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
    }
    if (at[0] < 0xF0) {
        *length = 3;
        return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
    }
    *length = 4;
    return (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
}

/* Copies each distinct character to `found`, which has room for the text; returns the bytes there. */
static Py_ssize_t find_distinct(const unsigned char *text, Py_ssize_t size, char *found) {
    char *end = found;
    for (const unsigned char *at = text; at < text + size;) {
        int length = 1;
        uint32_t codepoint = at[0] < 0x80 ? at[0] : decode(at, &length);
        uint64_t bit = UINT64_C(1) << (codepoint & 63);
        if (!(seen[codepoint >> 6] & bit)) {
            seen[codepoint >> 6] |= bit;
            memcpy(end, at, (size_t)length);
            end += length;
        }
        at += length;
    }
    return end - found;
}

static void forget(const unsigned char *found, Py_ssize_t size) {
    for (const unsigned char *at = found; at < found + size;) {
        int length = 1;
        uint32_t codepoint = at[0] < 0x80 ? at[0] : decode(at, &length);
        seen[codepoint >> 6] = 0;
        at += length;
    }
}

/* list_characters(text): see _core.pyi. */
PyObject *list_characters(PyObject *module, PyObject *argument) {
    (void)module;
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(argument, &size);
    if (text == NULL)
        return NULL;
    char *found = malloc((size_t)size + 1);
    if (found == NULL)
        return PyErr_NoMemory();
    Py_ssize_t length = find_distinct((const unsigned char *)text, size, found);
    forget((const unsigned char *)found, length);
    PyObject *result = PyUnicode_DecodeUTF8(found, length, NULL);
    free(found);
    return result;
}

/* measure_text(text): see _core.pyi. */
PyObject *measure_text(PyObject *module, PyObject *argument) {
    (void)module;
    Py_ssize_t size, words = 0;
    const char *text = PyUnicode_AsUTF8AndSize(argument, &size);
    if (text == NULL)
        return NULL;
    for (Py_ssize_t i = 0, after_blank = 1; i < size; i++) {
        Py_ssize_t blank = (unsigned char)text[i] <= ' ';
        words += after_blank & !blank;
        after_blank = blank;
    }
    return Py_BuildValue("nn", words, size);
}
