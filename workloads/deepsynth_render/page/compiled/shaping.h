/* Shaper: HarfBuzz with one font. */

#ifndef DEEPSYNTH_SHAPING_H
#define DEEPSYNTH_SHAPING_H

#include "core.h"

typedef struct Kerning Kerning;

/* kerning: NULL unless the font only kerns neighbours. */
typedef struct {
    PyObject_HEAD
    PyObject *data; /* the font file, which HarfBuzz reads in place */
    void *font, *buffer;
    uint32_t glyphs; /* of the font */
    Kerning *kerning;
} Shaper;

/* What texts that are shaped together have in common. */
typedef struct {
    uint32_t script;
    int right_to_left;
    const void *language;
} Run;

/* The glyphs of texts, growing: glyph, x, y each. */
typedef struct {
    int64_t *values;
    Py_ssize_t count, capacity;
} Glyphs;

/* A character of a text. start: its first byte. */
typedef struct {
    uint32_t code;
    int32_t start;
} Character;

int reserve_glyphs(Glyphs *glyphs, Py_ssize_t count);

/* script: four letters, as ISO 15924 has them. */
Run find_run(const char *script, int right_to_left);

/* Shape a text, as UTF-8, and append its glyphs. measure: how many they are, 0 if the font lacks one of them, and their
   advance. Returns 0 with an exception. */
int shape_text(Shaper *shaper, const char *text, Py_ssize_t length, const Run *run, Glyphs *glyphs, int64_t *measure);

Kerning *create_kerning(void);

/* As shape_text for letters of `text`, which another one follows for the end, without HarfBuzz. Returns 1; 0 if it needs
   HarfBuzz, then nothing is appended; -1 with an exception. */
int set_letters(Shaper *shaper, const char *text, const Character *letters, int count, const Run *run, Glyphs *glyphs,
                int64_t *measure);

PyObject *find_usual(PyObject *self, PyObject *arguments);

#endif
