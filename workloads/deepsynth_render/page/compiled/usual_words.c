/* Words of usual characters, from text to the rows that the cache of words keeps, in one pass and without an object for
   each piece or glyph: most words of most languages that are written in Latin letters. */

#include "shaping.h"

#include <stdlib.h>
#include <string.h>

/* What a character is, as word_batches._find_kinds says. */
enum { USUAL = 1, DASH = 2, WORD = 4, LETTER = 8 };

/* Columns of a piece, as in words.py. */
enum { ADVANCE, SPACE, CHARS, FIRST_GLYPH, GLYPHS, INKED, GAP, COLUMNS };

enum { MAX_CHARACTERS = 1000 };

/* A word, and the parts between which a line may break. ends: of the parts, the character after the last one. The
   characters have one more, for the end. */
typedef struct {
    const char *text;
    Character characters[MAX_CHARACTERS + 1];
    int ends[MAX_CHARACTERS];
} Word;

/* Cut a word after its dashes, as the regular expression of words.py does. Returns the number of parts; 0 if a
   character is not usual, or there are none or too many of them. */
static int cut(Word *word, Py_ssize_t length, const uint8_t *kinds, Py_ssize_t known) {
    const uint8_t *text = (const uint8_t *)word->text;
    int count = 0, total = 0, after_word = 0; /* after_word: the dashes before follow a letter or digit */
    uint8_t previous = 0;
    for (Py_ssize_t at = 0; at < length;) {
        uint32_t code = text[at];
        int size = code < 0x80 ? 1 : code < 0xE0 ? 2 : code < 0xF0 ? 3 : 4;
        code &= size == 1 ? 0x7F : 0xFF >> (size + 1);
        for (int i = 1; i < size; i++)
            code = code << 6 | (text[at + i] & 0x3F);
        uint8_t kind = (Py_ssize_t)code < known ? kinds[code] : 0;
        if (!(kind & USUAL) || total == MAX_CHARACTERS)
            return 0;
        if (kind & LETTER && previous & DASH && after_word)
            word->ends[count++] = total;
        if (kind & DASH && !(previous & DASH))
            after_word = previous & WORD;
        previous = kind;
        word->characters[total++] = (Character){code, (int32_t)at};
        at += size;
    }
    if (total)
        word->ends[count++] = total;
    word->characters[total] = (Character){0, (int32_t)length};
    return count;
}

/* What words become, growing. */
typedef struct {
    Glyphs glyphs;
    int32_t *pieces;
    Py_ssize_t count, capacity;
} Set;

static int reserve_pieces(Set *set, Py_ssize_t count) {
    if (count <= set->capacity - set->count)
        return 1;
    Py_ssize_t capacity = 2 * set->capacity + count + 64;
    int32_t *pieces = realloc(set->pieces, (size_t)capacity * COLUMNS * sizeof *pieces);
    if (pieces == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    set->pieces = pieces;
    set->capacity = capacity;
    return 1;
}

/* How words are set. slots: of each glyph of the font, twice the slot, and one more if it draws something; -1 if it has
   no slot yet, then draw gives it one. */
typedef struct {
    Shaper *shaper;
    Run run;
    const uint8_t *kinds;
    Py_ssize_t known;
    int32_t *slots;
    Py_ssize_t glyphs;
    PyObject *draw;
    int32_t space;
    int64_t max_advance, first_glyph;
} Setting;

static int find_slot(const Setting *setting, int64_t glyph, int32_t *slot) {
    if (glyph >= setting->glyphs) { /* a mistake of the caller: shape_text gives only glyphs of the font */
        PyErr_Format(PyExc_ValueError, "slots: has no place for glyph %lld", (long long)glyph);
        return 0;
    }
    if (setting->slots[glyph] < 0) {
        PyObject *drawn = PyObject_CallFunction(setting->draw, "L", (long long)glyph);
        long value = drawn == NULL ? -1 : PyLong_AsLong(drawn);
        Py_XDECREF(drawn);
        if (value < 0 || value > INT32_MAX) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "draw: must return a slot");
            return 0;
        }
        setting->slots[glyph] = (int32_t)value;
    }
    *slot = setting->slots[glyph];
    return 1;
}

/* Append a piece. Returns 1; 0 if it needs more care: a glyph is missing, or it is wider than a column; -1 with an
   exception. */
static int set_piece(const Setting *setting, const Word *word, int start, int end, Set *set) {
    int64_t measure[2];
    Py_ssize_t first = set->glyphs.count;
    const Character *from = word->characters + start, *to = word->characters + end;
    if (!reserve_pieces(set, 1))
        return -1;
    int done = set_letters(setting->shaper, word->text, from, end - start, &setting->run, &set->glyphs, measure);
    if (done == 0)
        done = shape_text(setting->shaper, word->text + from->start, to->start - from->start, &setting->run,
                          &set->glyphs, measure)
                   ? 1
                   : -1;
    if (done < 0)
        return -1;
    if (measure[0] == 0 || measure[1] > setting->max_advance)
        return 0;
    int32_t inked = 0, slot;
    int64_t *glyph = set->glyphs.values + 3 * first;
    for (Py_ssize_t i = first; i < set->glyphs.count; i++, glyph += 3) {
        if (!find_slot(setting, glyph[0], &slot))
            return -1;
        inked |= slot & 1;
        glyph[0] = slot >> 1;
    }
    int32_t *piece = set->pieces + COLUMNS * set->count++;
    piece[ADVANCE] = (int32_t)measure[1];
    piece[SPACE] = piece[GAP] = 0;
    piece[CHARS] = end - start;
    piece[FIRST_GLYPH] = (int32_t)(setting->first_glyph + first);
    piece[GLYPHS] = (int32_t)measure[0];
    piece[INKED] = inked;
    return 1;
}

/* What sets the words that a table lacks. set: what they become. */
typedef struct {
    Setting setting;
    Set set;
    int64_t first_piece;
} Setter;

static int set_word(void *argument, const char *text, Py_ssize_t length, int64_t *first) {
    Setter *setter = argument;
    const Setting *setting = &setter->setting;
    Set *set = &setter->set;
    Word word;
    word.text = text;
    int start = 0, count = cut(&word, length, setting->kinds, setting->known);
    Py_ssize_t pieces = set->count, glyphs = set->glyphs.count;
    for (int i = 0; i < count; start = word.ends[i++]) {
        int done = set_piece(setting, &word, start, word.ends[i], set);
        if (done <= 0) {
            set->count = pieces;
            set->glyphs.count = glyphs;
            return done;
        }
    }
    if (count) {
        int32_t *last = set->pieces + COLUMNS * (set->count - 1);
        last[SPACE] = setting->space;
        last[CHARS]++;
        last[GAP] = 1;
    }
    *first = setter->first_piece + pieces;
    return count;
}

/* The glyphs as (glyphs, 3) int32: slot, x, y. */
static PyObject *pack_glyphs(const Glyphs *glyphs) {
    PyObject *packed = PyBytes_FromStringAndSize(NULL, glyphs->count * 3 * (Py_ssize_t)sizeof(int32_t));
    if (packed == NULL)
        return NULL;
    int32_t *values = (int32_t *)(void *)PyBytes_AsString(packed);
    for (Py_ssize_t i = 0; i < 3 * glyphs->count; i++)
        values[i] = (int32_t)glyphs->values[i];
    return packed;
}

static PyObject *set_all(PyObject *table, PyObject *text, Setter *setter) {
    Set *set = &setter->set;
    PyObject *result = NULL, *pieces = NULL, *glyphs = NULL;
    PyObject *found = find_and_set(table, text, set_word, setter);
    if (found != NULL) {
        pieces = PyBytes_FromStringAndSize((const char *)set->pieces, set->count * COLUMNS * (Py_ssize_t)sizeof(int32_t));
        glyphs = pack_glyphs(&set->glyphs);
    }
    if (pieces != NULL && glyphs != NULL)
        result = PyTuple_Pack(3, found, pieces, glyphs);
    free(set->pieces);
    free(set->glyphs.values);
    Py_XDECREF(found);
    Py_XDECREF(pieces);
    Py_XDECREF(glyphs);
    return result;
}

PyObject *find_usual(PyObject *self, PyObject *arguments) {
    PyObject *table, *text, *result = NULL;
    Py_buffer kinds, slots;
    const char *script;
    long long max_advance, first_piece, first_glyph;
    Setter setter = {.setting.shaper = (Shaper *)self};
    Setting *setting = &setter.setting;
    if (!PyArg_ParseTuple(arguments, "OOsy*w*OiLLL", &table, &text, &script, &kinds, &slots, &setting->draw,
                          &setting->space, &max_advance, &first_piece, &first_glyph))
        return NULL;
    setting->run = find_run(script, 0);
    setting->kinds = kinds.buf;
    setting->known = kinds.len;
    setting->slots = slots.buf;
    setting->glyphs = slots.len / (Py_ssize_t)sizeof(int32_t);
    setting->max_advance = max_advance;
    setting->first_glyph = first_glyph;
    setter.first_piece = first_piece;
    if (!is_word_table(table))
        PyErr_SetString(PyExc_TypeError, "table: must be a WordTable");
    else if ((uintptr_t)slots.buf % sizeof(int32_t))
        PyErr_SetString(PyExc_ValueError, "slots: must be int32");
    else
        result = set_all(table, text, &setter);
    PyBuffer_Release(&kinds);
    PyBuffer_Release(&slots);
    return result;
}
