/* Shaper: many words in one call of HarfBuzz, the one in the package uharfbuzz, found by the names of its C functions. */

#include "shaping.h"

#include <dlfcn.h>
#include <stdlib.h>

/* The part of HarfBuzz's stable interface that is used. */
typedef struct {
    uint32_t codepoint, mask, cluster, var1, var2;
} GlyphInfo;

typedef struct {
    int32_t x_advance, y_advance, x_offset, y_offset;
    uint32_t var;
} GlyphPosition;

typedef struct {
    uint32_t axis;
    float value;
} Variation;

enum { READONLY = 1, LEFT_TO_RIGHT = 4, RIGHT_TO_LEFT = 5, MAX_AXES = 16 };

typedef struct {
    void *(*blob_create)(const char *, unsigned, int, void *, void *);
    void (*blob_destroy)(void *);
    void *(*face_create)(void *, unsigned);
    unsigned (*face_get_glyph_count)(void *);
    void (*face_destroy)(void *);
    void *(*font_create)(void *);
    void (*font_set_scale)(void *, int, int);
    void (*font_set_variations)(void *, const Variation *, unsigned);
    void (*font_destroy)(void *);
    void *(*buffer_create)(void);
    void (*buffer_clear_contents)(void *);
    void (*buffer_add_utf8)(void *, const char *, int, unsigned, int);
    void (*buffer_set_direction)(void *, int);
    void (*buffer_set_script)(void *, uint32_t);
    void (*buffer_set_language)(void *, const void *);
    int (*buffer_allocation_successful)(void *);
    GlyphInfo *(*buffer_get_glyph_infos)(void *, unsigned *);
    GlyphPosition *(*buffer_get_glyph_positions)(void *, unsigned *);
    void (*buffer_destroy)(void *);
    uint32_t (*script_from_string)(const char *, int);
    const void *(*language_from_string)(const char *, int);
    int (*variation_from_string)(const char *, int, Variation *);
    void (*shape)(void *, void *, const void *, unsigned);
} HarfBuzz;

static HarfBuzz hb;

static int find_functions(const char *library) {
    HarfBuzz found;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        PyErr_Format(PyExc_OSError, "%s: cannot be opened as a library", library);
        return 0;
    }
#define FIND(name)                                                                                                     \
    if ((*(void **)(void *)&found.name = dlsym(handle, "hb_" #name)) == NULL) {                                           \
        PyErr_Format(PyExc_OSError, "%s: no function hb_%s", library, #name);                                          \
        return 0;                                                                                                      \
    }
    FIND(blob_create)
    FIND(blob_destroy)
    FIND(face_create)
    FIND(face_get_glyph_count)
    FIND(face_destroy)
    FIND(font_create)
    FIND(font_set_scale)
    FIND(font_set_variations)
    FIND(font_destroy)
    FIND(buffer_create)
    FIND(buffer_clear_contents)
    FIND(buffer_add_utf8)
    FIND(buffer_set_direction)
    FIND(buffer_set_script)
    FIND(buffer_set_language)
    FIND(buffer_allocation_successful)
    FIND(buffer_get_glyph_infos)
    FIND(buffer_get_glyph_positions)
    FIND(buffer_destroy)
    FIND(script_from_string)
    FIND(language_from_string)
    FIND(variation_from_string)
    FIND(shape)
#undef FIND
    hb = found; /* there is one HarfBuzz in a process, so this changes nothing the second time */
    return 1;
}

/* Axes of a variable font, as in "wght=400". Returns how many, or -1 with an exception. */
static int read_variations(PyObject *texts, Variation *variations) {
    Py_ssize_t count = PyList_Size(texts), length;
    if (count > MAX_AXES) {
        PyErr_Format(PyExc_ValueError, "a font has at most %d axes", MAX_AXES);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *text = PyUnicode_AsUTF8AndSize(PyList_GetItem(texts, i), &length);
        if (text == NULL)
            return -1;
        if (length > 100 || !hb.variation_from_string(text, (int)length, &variations[i])) {
            PyErr_SetString(PyExc_ValueError, "an axis must be like wght=400");
            return -1;
        }
    }
    return (int)count;
}

static void open_font(Shaper *shaper, unsigned face_index, int scale, const Variation *variations, int axes) {
    const char *bytes = PyBytes_AsString(shaper->data);
    void *blob = hb.blob_create(bytes, (unsigned)PyBytes_Size(shaper->data), READONLY, NULL, NULL);
    void *face = hb.face_create(blob, face_index);
    shaper->glyphs = hb.face_get_glyph_count(face);
    shaper->font = hb.font_create(face);
    hb.font_set_scale(shaper->font, scale, scale);
    if (axes)
        hb.font_set_variations(shaper->font, variations, (unsigned)axes);
    hb.face_destroy(face); /* the font holds it */
    hb.blob_destroy(blob);
}

static PyObject *create(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)keywords;
    const char *library;
    PyObject *data, *texts;
    int face_index, scale, kerns_neighbours;
    Variation variations[MAX_AXES];
    if (!PyArg_ParseTuple(arguments, "sSiiO!p", &library, &data, &face_index, &scale, &PyList_Type, &texts,
                          &kerns_neighbours) ||
        !find_functions(library))
        return NULL;
    if (face_index < 0 || scale < 1 || PyBytes_Size(data) > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the scale must be positive, and the font smaller than 2 GiB");
        return NULL;
    }
    int axes = read_variations(texts, variations);
    if (axes < 0)
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Shaper *shaper = (Shaper *)allocate(type, 0);
    if (shaper == NULL)
        return NULL;
    shaper->data = Py_NewRef(data);
    if (kerns_neighbours && (shaper->kerning = create_kerning()) == NULL) {
        Py_DECREF(shaper);
        return NULL;
    }
    open_font(shaper, (unsigned)face_index, scale, variations, axes);
    shaper->buffer = hb.buffer_create();
    return (PyObject *)shaper;
}

int reserve_glyphs(Glyphs *glyphs, Py_ssize_t count) {
    if (count <= glyphs->capacity - glyphs->count)
        return 1;
    Py_ssize_t capacity = 2 * glyphs->capacity + count + 512;
    int64_t *values = realloc(glyphs->values, (size_t)capacity * 3 * sizeof *values);
    if (values == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    glyphs->values = values;
    glyphs->capacity = capacity;
    return 1;
}

int shape_text(Shaper *shaper, const char *text, Py_ssize_t length, const Run *run, Glyphs *glyphs,
               int64_t *measure) {
    if (length > INT32_MAX / 64) {
        PyErr_SetString(PyExc_ValueError, "a word is too long");
        return 0;
    }
    hb.buffer_clear_contents(shaper->buffer);
    hb.buffer_add_utf8(shaper->buffer, text, (int)length, 0, (int)length);
    hb.buffer_set_direction(shaper->buffer, run->right_to_left ? RIGHT_TO_LEFT : LEFT_TO_RIGHT);
    hb.buffer_set_script(shaper->buffer, run->script);
    hb.buffer_set_language(shaper->buffer, run->language);
    hb.shape(shaper->font, shaper->buffer, NULL, 0);
    unsigned count, positioned;
    const GlyphInfo *infos = hb.buffer_get_glyph_infos(shaper->buffer, &count);
    const GlyphPosition *positions = hb.buffer_get_glyph_positions(shaper->buffer, &positioned);
    measure[0] = measure[1] = 0;
    if (!hb.buffer_allocation_successful(shaper->buffer) || positioned < count || !reserve_glyphs(glyphs, count))
        return PyErr_Occurred() == NULL;
    int64_t *glyph = glyphs->values + 3 * glyphs->count, advance = 0;
    for (unsigned i = 0; i < count; i++, glyph += 3) {
        if (infos[i].codepoint == 0 || infos[i].codepoint >= shaper->glyphs)
            return 1;
        glyph[0] = infos[i].codepoint;
        glyph[1] = advance + positions[i].x_offset;
        glyph[2] = positions[i].y_offset;
        advance += positions[i].x_advance;
    }
    glyphs->count += count;
    measure[0] = count;
    measure[1] = advance;
    return 1;
}

Run find_run(const char *script, int right_to_left) {
    return (Run){hb.script_from_string(script, -1), right_to_left, hb.language_from_string("und", -1)};
}

static PyObject *shape(PyObject *self, PyObject *arguments) {
    PyObject *words, *result = NULL, *found = NULL;
    const char *script_name;
    int right_to_left;
    if (!PyArg_ParseTuple(arguments, "O!sp", &PyList_Type, &words, &script_name, &right_to_left))
        return NULL;
    Py_ssize_t count = PyList_Size(words);
    PyObject *measures = PyBytes_FromStringAndSize(NULL, count * 2 * (Py_ssize_t)sizeof(int64_t));
    if (measures == NULL)
        return NULL;
    Run run = find_run(script_name, right_to_left);
    int64_t *measure = (int64_t *)(void *)PyBytes_AsString(measures);
    Glyphs glyphs = {0};
    for (Py_ssize_t i = 0, length; i < count; i++, measure += 2) {
        const char *word = PyUnicode_AsUTF8AndSize(PyList_GetItem(words, i), &length);
        if (word == NULL || !shape_text((Shaper *)self, word, length, &run, &glyphs, measure))
            goto done;
    }
    found = PyBytes_FromStringAndSize((const char *)glyphs.values, glyphs.count * 3 * (Py_ssize_t)sizeof(int64_t));
    if (found != NULL)
        result = PyTuple_Pack(2, found, measures);
done:
    free(glyphs.values);
    Py_XDECREF(found);
    Py_DECREF(measures);
    return result;
}

static void destroy(PyObject *self) {
    Shaper *shaper = (Shaper *)self;
    PyTypeObject *type = Py_TYPE(self);
    hb.buffer_destroy(shaper->buffer); /* that of NULL does nothing */
    hb.font_destroy(shaper->font);
    free(shaper->kerning);
    Py_XDECREF(shaper->data);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"find_usual", find_usual, METH_VARARGS, "The pieces of words, those of usual characters set on the way."},
    {"shape", shape, METH_VARARGS, "The glyphs of words."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, create},
    {Py_tp_methods, methods},
    {Py_tp_dealloc, destroy},
    {Py_tp_doc, "Shapes words in one font."},
    {0, NULL},
};

PyType_Spec shaper_type = {
    .name = "deepsynth_render.page.compiled._core.Shaper",
    .basicsize = sizeof(Shaper),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
