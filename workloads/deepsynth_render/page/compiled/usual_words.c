/* Words of usual characters, from text to the rows that the cache of words keeps, in one pass and without an object for
   each piece or glyph: most words of most languages that are written in Latin letters. */

#include "shaping.h"

#include <stdlib.h>
#include <string.h>

/* What a character is, as word_batches.find_kinds says. */
enum { USUAL = 1, DASH = 2, WORD = 4, LETTER = 8 };

/* Columns of a piece, as in words.py. */
enum { ADVANCE, SPACE, CHARS, FIRST_GLYPH, GLYPHS, INKED, GAP, COLUMNS };

enum { MAX_CHARACTERS = 1000, GLYPHS_PER_WORD = 12 };

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
    Py_ssize_t capacity = 2 * set->capacity + count;
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
    int done = reserve_pieces(set, 1) ? set_letters(setting->shaper, word->text, from, end - start, &setting->run,
                                                    &set->glyphs, measure)
                                      : -1;
    if (done < 0 || (done == 0 && !shape_text(setting->shaper, word->text + from->start, to->start - from->start,
                                              &setting->run, &set->glyphs, measure)))
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

/* Append the pieces of a word. Returns their number; 0 if it needs more care; -1 with an exception. */
static int set_word(const Setting *setting, const char *text, Py_ssize_t length, Set *set) {
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
    return count;
}

/* Set each word once. known, others: lists. counts: pieces of each known word. */
static int set_words(const Setting *setting, PyObject *words, PyObject *known, PyObject *others, int64_t *counts,
                     Set *set) {
    PyObject *seen = PySet_New(NULL);
    int done = seen != NULL;
    for (Py_ssize_t i = 0; done && i < PyList_Size(words); i++) {
        PyObject *word = PyList_GetItem(words, i);
        int is_seen = PySet_Contains(seen, word);
        Py_ssize_t length;
        const char *text;
        if (is_seen > 0)
            continue;
        if (is_seen < 0 || PySet_Add(seen, word) < 0 || (text = PyUnicode_AsUTF8AndSize(word, &length)) == NULL) {
            done = 0;
            break;
        }
        int count = set_word(setting, text, length, set);
        done = count >= 0 && PyList_Append(count ? known : others, word) == 0;
        if (count > 0)
            *counts++ = count;
    }
    Py_XDECREF(seen);
    return done;
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

static PyObject *set_all(const Setting *setting, PyObject *words) {
    Set set = {0};
    Py_ssize_t count = PyList_Size(words);
    PyObject *result = NULL, *pieces = NULL, *glyphs = NULL;
    PyObject *known = PyList_New(0), *others = PyList_New(0);
    PyObject *counts = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof(int64_t));
    if (known != NULL && others != NULL && counts != NULL && reserve_pieces(&set, count) &&
        reserve_glyphs(&set.glyphs, GLYPHS_PER_WORD * count) &&
        set_words(setting, words, known, others, (int64_t *)(void *)PyBytes_AsString(counts), &set)) {
        pieces = PyBytes_FromStringAndSize((const char *)set.pieces, set.count * COLUMNS * (Py_ssize_t)sizeof(int32_t));
        glyphs = pack_glyphs(&set.glyphs);
    }
    if (pieces != NULL && glyphs != NULL)
        result = PyTuple_Pack(5, known, counts, pieces, glyphs, others);
    free(set.pieces);
    free(set.glyphs.values);
    Py_XDECREF(known);
    Py_XDECREF(others);
    Py_XDECREF(counts);
    Py_XDECREF(pieces);
    Py_XDECREF(glyphs);
    return result;
}

PyObject *set_usual(PyObject *self, PyObject *arguments) {
    PyObject *words, *result = NULL;
    Py_buffer kinds, slots;
    const char *script;
    long long max_advance, first_glyph;
    Setting setting = {.shaper = (Shaper *)self};
    if (!PyArg_ParseTuple(arguments, "O!sy*w*OiLL", &PyList_Type, &words, &script, &kinds, &slots, &setting.draw,
                          &setting.space, &max_advance, &first_glyph))
        return NULL;
    setting.run = find_run(script, 0);
    setting.kinds = kinds.buf;
    setting.known = kinds.len;
    setting.slots = slots.buf;
    setting.glyphs = slots.len / (Py_ssize_t)sizeof(int32_t);
    setting.max_advance = max_advance;
    setting.first_glyph = first_glyph;
    if ((uintptr_t)slots.buf % sizeof(int32_t))
        PyErr_SetString(PyExc_ValueError, "slots: must be int32");
    else
        result = set_all(&setting, words);
    PyBuffer_Release(&kinds);
    PyBuffer_Release(&slots);
    return result;
}
