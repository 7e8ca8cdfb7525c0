/* draw_glyph: one glyph by FreeType, the one in the package freetype-py, found by the names of its C functions. */

#include "core.h"

#include <dlfcn.h>
#include <stddef.h>

/* The part of FreeType's stable interface that is used. */
typedef struct {
    long x, y;
} Vector;

typedef struct {
    long xx, xy, yx, yy;
} Matrix;

typedef struct {
    unsigned rows, width;
    int pitch;
    unsigned char *buffer;
    unsigned short num_grays;
    unsigned char pixel_mode, palette_mode;
    void *palette;
} Bitmap;

typedef struct {
    short n_contours, n_points;
    Vector *points;
    void *tags, *contours;
    int flags;
} Outline;

typedef struct {
    void *library, *face, *next;
    unsigned glyph_index;
    void *generic[2];
    long metrics[8], linear_advances[2];
    Vector advance;
    int format;
    Bitmap bitmap;
    int bitmap_left, bitmap_top;
    Outline outline;
} Slot;

typedef struct {
    long num_faces, face_index, face_flags, style_flags, num_glyphs;
    void *family_name, *style_name;
    int num_fixed_sizes;
    void *available_sizes;
    int num_charmaps;
    void *charmaps;
    void *generic[2];
    long bbox[4];
    unsigned short units_per_em;
    short ascender, descender, height, max_advance_width, max_advance_height, underline_position, underline_thickness;
    Slot *glyph;
} Face;

enum { OUTLINE_FORMAT = 'o' << 24 | 'u' << 16 | 't' << 8 | 'l', RENDER_LIGHT = 1 };

static struct {
    void (*Set_Transform)(void *, const Matrix *, const Vector *);
    int (*Load_Glyph)(void *, unsigned, int);
    int (*Render_Glyph)(void *, int);
    void (*Outline_Translate)(const void *, long, long);
} ft;

static int find_functions(const char *library) {
    if (ft.Outline_Translate != NULL) /* the last one to be set */
        return 1;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        PyErr_Format(PyExc_OSError, "%s: cannot be opened as a library", library);
        return 0;
    }
#define FIND(name)                                                                                                     \
    if ((*(void **)(void *)&ft.name = dlsym(handle, "FT_" #name)) == NULL) {                                           \
        PyErr_Format(PyExc_OSError, "%s: no function FT_%s", library, #name);                                          \
        return 0;                                                                                                      \
    }
    FIND(Set_Transform)
    FIND(Load_Glyph)
    FIND(Render_Glyph)
    FIND(Outline_Translate)
#undef FIND
    return 1;
}

enum { PHASES = 4, FULL_INK = 15 };

/* Ink of a bitmap, row by row. Returns whether there is any. */
static int quantise(const Bitmap *bitmap, int levels, uint8_t *ink) {
    int most = 0, step = FULL_INK / levels;
    for (unsigned row = 0; row < bitmap->rows; row++)
        for (unsigned column = 0; column < bitmap->width; column++) {
            int coverage = bitmap->buffer[(ptrdiff_t)row * bitmap->pitch + column];
            int value = (coverage * levels + 127) / 255 * step;
            *ink++ = (uint8_t)value;
            most = value > most ? value : most;
        }
    return most;
}

/* The same for a bitmap of which no pixel reaches the first of few levels: what is grey at all is drawn in it, since a
   thin mark, such as a point of Hebrew, must not disappear. */
static int keep_thin(const Bitmap *bitmap, int levels, uint8_t *ink) {
    int has_ink = quantise(bitmap, FULL_INK, ink);
    for (size_t i = 0; i < (size_t)bitmap->rows * bitmap->width; i++)
        ink[i] = ink[i] ? (uint8_t)(FULL_INK / levels) : 0;
    return has_ink;
}

/* Append a phase of the glyph to ink, a bytearray. box: its width, height, left and top. */
static int add_bitmap(const Slot *slot, int levels, PyObject *ink, int32_t *box) {
    const Bitmap *bitmap = &slot->bitmap;
    Py_ssize_t used = PyByteArray_Size(ink), size = (Py_ssize_t)bitmap->rows * (Py_ssize_t)bitmap->width;
    if (PyByteArray_Resize(ink, used + size) < 0)
        return 0;
    uint8_t *pixels = (uint8_t *)PyByteArray_AsString(ink) + used;
    int has_ink = quantise(bitmap, levels, pixels) || (levels < FULL_INK && keep_thin(bitmap, levels, pixels));
    box[0] = (int32_t)bitmap->width;
    box[1] = has_ink ? (int32_t)bitmap->rows : 0;
    box[2] = has_ink ? slot->bitmap_left : 0;
    box[3] = has_ink ? slot->bitmap_top : 0;
    return has_ink || PyByteArray_Resize(ink, used) == 0;
}

/* Draw all phases. Returns FreeType's error, 0 if there is none, or -1 with an exception. */
static int draw_phases(Face *face, unsigned glyph, int flags, int levels, PyObject *ink, int32_t *boxes) {
    int error = ft.Load_Glyph(face, glyph, flags);
    Slot *slot = face->glyph;
    for (int phase = 0; error == 0 && phase < PHASES; phase++) {
        if ((error = ft.Render_Glyph(slot, RENDER_LIGHT)) != 0)
            break;
        if (!add_bitmap(slot, levels, ink, boxes + 4 * phase))
            return -1;
        slot->format = OUTLINE_FORMAT; /* the outline is there still, to be drawn in the next phase */
        ft.Outline_Translate(&slot->outline, 64 / PHASES, 0);
    }
    return error;
}

PyObject *draw_glyph(PyObject *module, PyObject *arguments) {
    (void)module;
    const char *library;
    unsigned long long address;
    unsigned glyph;
    int flags, levels, slant;
    if (!PyArg_ParseTuple(arguments, "sKIiii", &library, &address, &glyph, &flags, &slant, &levels) ||
        !find_functions(library))
        return NULL;
    if (levels != FULL_INK && levels != 3) {
        PyErr_SetString(PyExc_ValueError, "levels: must be 3 or 15");
        return NULL;
    }
    Face *face = (Face *)(uintptr_t)address;
    Matrix matrix = {0x10000, slant, 0, 0x10000};
    int32_t boxes[4 * PHASES] = {0};
    PyObject *ink = PyByteArray_FromStringAndSize(NULL, 0);
    if (ink == NULL)
        return NULL;
    ft.Set_Transform(face, &matrix, NULL);
    int error = draw_phases(face, glyph, flags, levels, ink, boxes);
    PyObject *result = error < 0 ? NULL : Py_BuildValue("iOy#", error, ink, (char *)boxes, (Py_ssize_t)sizeof boxes);
    Py_DECREF(ink);
    return result;
}
