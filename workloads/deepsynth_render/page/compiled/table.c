/* WordTable: from words, as UTF-8, to their pieces. Open addressing; the words themselves are in one block of memory. */

#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t hash;
    Py_ssize_t start; /* of the word in `bytes` */
    uint32_t length;
    uint32_t count; /* of pieces; 0: the entry is free */
    int64_t first;  /* piece */
} Entry;

typedef struct {
    PyObject_HEAD
    Entry *entries;
    Py_ssize_t capacity; /* a power of two, or 0 */
    Py_ssize_t used;
    char *bytes;
    Py_ssize_t bytes_used, bytes_capacity;
} WordTable;

#define MAX_WORD INT32_MAX /* bytes, and pieces of a word */

static uint64_t compute_hash(const char *word, Py_ssize_t length) {
    uint64_t hash = UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)length;
    for (; length >= 8; word += 8, length -= 8) {
        uint64_t part;
        memcpy(&part, word, 8);
        hash = (hash ^ part) * UINT64_C(0xD6E8FEB86659FD93);
        hash ^= hash >> 32;
    }
    uint64_t part = 0;
    memcpy(&part, word, (size_t)length);
    hash = (hash ^ part) * UINT64_C(0xD6E8FEB86659FD93);
    hash ^= hash >> 32;
    return hash * UINT64_C(0xD6E8FEB86659FD93) ^ hash >> 29;
}

/* The entry of a word, or the free one where it belongs. The table is never full. */
static Entry *find_entry(const WordTable *table, const char *word, Py_ssize_t length, uint64_t hash) {
    Py_ssize_t mask = table->capacity - 1;
    for (Py_ssize_t index = (Py_ssize_t)(hash & (uint64_t)mask);; index = (index + 1) & mask) {
        Entry *entry = &table->entries[index];
        if (entry->count == 0 || (entry->hash == hash && entry->length == length &&
                                  memcmp(table->bytes + entry->start, word, (size_t)length) == 0))
            return entry;
    }
}

/* Room for one more entry at a load of at most two thirds. */
static int grow_entries(WordTable *table) {
    if (3 * (table->used + 1) <= 2 * table->capacity)
        return 1;
    Py_ssize_t capacity = table->capacity ? 2 * table->capacity : 1024, old_capacity = table->capacity;
    Entry *entries = calloc((size_t)capacity, sizeof *entries), *old = table->entries;
    if (entries == NULL)
        return 0;
    table->entries = entries;
    table->capacity = capacity;
    for (Py_ssize_t i = 0; i < old_capacity; i++)
        if (old[i].count)
            *find_entry(table, table->bytes + old[i].start, old[i].length, old[i].hash) = old[i];
    free(old);
    return 1;
}

static int grow_bytes(WordTable *table, Py_ssize_t length) {
    if (table->bytes != NULL && length <= table->bytes_capacity - table->bytes_used)
        return 1;
    Py_ssize_t capacity = table->bytes_capacity + table->bytes_capacity / 2 + length + 4096;
    char *bytes = realloc(table->bytes, (size_t)capacity);
    if (bytes == NULL)
        return 0;
    table->bytes = bytes;
    table->bytes_capacity = capacity;
    return 1;
}

/* Remember a word. 0 with an exception if that is not possible. */
static int add_word(WordTable *table, const char *word, Py_ssize_t length, int64_t first, int64_t count) {
    if (first < 0 || count < 1 || count > MAX_WORD || length > MAX_WORD || first > INT64_MAX - count) {
        PyErr_Format(PyExc_ValueError, "a word needs at least one piece, got first %lld, count %lld", (long long)first,
                     (long long)count);
        return 0;
    }
    if (!grow_entries(table) || !grow_bytes(table, length)) {
        PyErr_NoMemory();
        return 0;
    }
    uint64_t hash = compute_hash(word, length);
    Entry *entry = find_entry(table, word, length, hash);
    if (entry->count == 0) {
        *entry = (Entry){.hash = hash, .start = table->bytes_used, .length = (uint32_t)length};
        memcpy(table->bytes + table->bytes_used, word, (size_t)length);
        table->bytes_used += length;
        table->used++;
    }
    entry->first = first;
    entry->count = (uint32_t)count;
    return 1;
}

static PyObject *add(PyObject *self, PyObject *arguments) {
    const char *word;
    Py_ssize_t length;
    long long first, count;
    if (!PyArg_ParseTuple(arguments, "s#LL", &word, &length, &first, &count))
        return NULL;
    return add_word((WordTable *)self, word, length, first, count) ? Py_NewRef(Py_None) : NULL;
}

/* As `add`, for many words whose pieces follow each other. */
static PyObject *add_all(PyObject *self, PyObject *arguments) {
    PyObject *words, *result = NULL;
    Py_buffer buffer;
    Rows counts;
    long long first;
    if (!PyArg_ParseTuple(arguments, "O!Ly*", &PyList_Type, &words, &first, &buffer))
        return NULL;
    Py_ssize_t length;
    if (!as_rows(&buffer, 1, "counts", &counts))
        goto done;
    if (counts.count != PyList_Size(words)) {
        PyErr_SetString(PyExc_ValueError, "counts: must have a number for each word");
        goto done;
    }
    for (Py_ssize_t i = 0; i < counts.count; first += counts.values[i++]) {
        const char *word = PyUnicode_AsUTF8AndSize(PyList_GetItem(words, i), &length);
        if (word == NULL || !add_word((WordTable *)self, word, length, first, counts.values[i]))
            goto done;
    }
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&buffer);
    return result;
}

/* The end of the word at `at`, which may be empty. */
static const char *find_end(const char *at, const char *end) {
    while (at < end && *at != ' ' && *at != '\n')
        at++;
    return at;
}

/* What a text becomes: pieces, and words that the table does not have. set: NULL if no word is set. */
typedef struct {
    int64_t *rows;
    Py_ssize_t count, capacity;
    PyObject *unknown;
    SetWord set;
    void *setting;
} Found;

static int append(Found *found, int64_t first, Py_ssize_t count) {
    if (count > found->capacity - found->count) {
        Py_ssize_t capacity = found->capacity + found->capacity / 2 + count + 64;
        int64_t *rows = realloc(found->rows, (size_t)capacity * sizeof *rows);
        if (rows == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        found->rows = rows;
        found->capacity = capacity;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        found->rows[found->count++] = first + i;
    return 1;
}

/* A word to look up, as UTF-8. */
typedef struct {
    const char *text;
    Py_ssize_t length;
    uint64_t hash;
} Word;

/* Words are looked up together: while one entry comes from memory, others are already on their way. */
enum { TOGETHER = 32 };

/* counts: where the number of pieces of each word is written, in turn; or none. */
typedef struct {
    Word words[TOGETHER];
    int count;
    int64_t *counts;
} Words;

static void fetch_words(const WordTable *table, const Words *words) {
    uint64_t mask = (uint64_t)table->capacity - 1;
    for (int i = 0; i < words->count; i++)
        __builtin_prefetch(&table->entries[words->words[i].hash & mask]);
    for (int i = 0; i < words->count; i++)
        __builtin_prefetch(table->bytes + table->entries[words->words[i].hash & mask].start);
}

static int look_up(WordTable *table, const Word *word, Found *found) {
    const Entry *entry = table->capacity ? find_entry(table, word->text, word->length, word->hash) : NULL;
    if (entry != NULL && entry->count)
        return append(found, entry->first, entry->count);
    int64_t first;
    int count = found->set == NULL ? 0 : found->set(found->setting, word->text, word->length, &first);
    if (count)
        return count > 0 && add_word(table, word->text, word->length, first, count) && append(found, first, count);
    PyObject *text = PyUnicode_DecodeUTF8(word->text, word->length, NULL);
    int done = text != NULL && PyList_Append(found->unknown, text) == 0;
    Py_XDECREF(text);
    return done;
}

/* Look up the words that were collected, and make room for others. */
static int look_up_together(WordTable *table, Words *words, Found *found) {
    if (table->capacity)
        fetch_words(table, words);
    for (int i = 0; i < words->count; i++) {
        Py_ssize_t before = found->count;
        if (!look_up(table, &words->words[i], found))
            return 0;
        if (words->counts != NULL)
            *words->counts++ = found->count - before;
    }
    words->count = 0;
    return 1;
}

static int collect(WordTable *table, const char *text, Py_ssize_t length, Words *words, Found *found) {
    if (length > MAX_WORD) {
        PyErr_SetString(PyExc_ValueError, "a word is too long");
        return 0;
    }
    words->words[words->count++] = (Word){text, length, compute_hash(text, length)};
    return words->count < TOGETHER || look_up_together(table, words, found);
}

/* Split as text.replace("\n", " \n ").split(" ") does, and look up each part. */
static int look_up_all(WordTable *table, const char *text, Py_ssize_t length, Found *found) {
    const char *at = text, *end = text + length;
    Words words = {.counts = NULL};
    for (;;) {
        const char *stop = find_end(at, end);
        if (!collect(table, at, stop - at, &words, found))
            return 0;
        if (stop == end)
            return look_up_together(table, &words, found);
        if (*stop == '\n' && !collect(table, "\n", 1, &words, found))
            return 0;
        at = stop + 1;
    }
}

PyObject *find_and_set(PyObject *table, PyObject *argument, SetWord set, void *setting) {
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(argument, &length);
    if (text == NULL)
        return NULL;
    PyObject *rows = NULL, *result = NULL;
    Found found = {.unknown = PyList_New(0), .set = set, .setting = setting};
    if (found.unknown != NULL && look_up_all((WordTable *)table, text, length, &found))
        rows = PyBytes_FromStringAndSize((const char *)found.rows, found.count * (Py_ssize_t)sizeof *found.rows);
    if (rows != NULL)
        result = PyTuple_Pack(2, rows, found.unknown);
    free(found.rows);
    Py_XDECREF(rows);
    Py_XDECREF(found.unknown);
    return result;
}

static PyObject *find(PyObject *self, PyObject *text) { return find_and_set(self, text, NULL, NULL); }

/* As `find`, for words that are split already: their pieces, how many each has (0: unknown), and the unknown ones. */
static PyObject *find_words(PyObject *self, PyObject *list) {
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "words: must be a list");
        return NULL;
    }
    WordTable *table = (WordTable *)self;
    Py_ssize_t count = PyList_Size(list), length;
    PyObject *rows = NULL, *result = NULL;
    PyObject *counts = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof(int64_t));
    Found found = {.unknown = PyList_New(0)};
    if (counts == NULL || found.unknown == NULL)
        goto done;
    Words words = {.counts = (int64_t *)(void *)PyBytes_AsString(counts)};
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *word = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), &length);
        if (word == NULL || !collect(table, word, length, &words, &found))
            goto done;
    }
    if (!look_up_together(table, &words, &found))
        goto done;
    rows = PyBytes_FromStringAndSize((const char *)found.rows, found.count * (Py_ssize_t)sizeof *found.rows);
    if (rows != NULL)
        result = PyTuple_Pack(3, rows, counts, found.unknown);
done:
    free(found.rows);
    Py_XDECREF(rows);
    Py_XDECREF(counts);
    Py_XDECREF(found.unknown);
    return result;
}

static Py_ssize_t count_words(PyObject *self) { return ((WordTable *)self)->used; }

static PyObject *measure(PyObject *self, PyObject *nothing) {
    (void)nothing;
    WordTable *table = (WordTable *)self;
    return PyLong_FromSsize_t(table->capacity * (Py_ssize_t)sizeof *table->entries + table->bytes_capacity);
}

static void destroy(PyObject *self) {
    WordTable *table = (WordTable *)self;
    PyTypeObject *type = Py_TYPE(self);
    free(table->entries);
    free(table->bytes);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

int is_word_table(PyObject *object) { return PyType_GetSlot(Py_TYPE(object), Py_tp_dealloc) == (void *)destroy; }

static PyMethodDef methods[] = {
    {"add", add, METH_VARARGS, "Remember the pieces of a word."},
    {"add_all", add_all, METH_VARARGS, "Remember the pieces of words."},
    {"find", find, METH_O, "The pieces of a text, and its unknown words."},
    {"find_words", find_words, METH_O, "The pieces of words, their numbers, and the unknown words."},
    {"measure", measure, METH_NOARGS, "Size in bytes."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {Py_tp_dealloc, destroy},
    {Py_sq_length, count_words},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_doc, "From words to their pieces."},
    {0, NULL},
};

PyType_Spec word_table = {
    .name = "deepsynth_render.page.compiled._core.WordTable",
    .basicsize = sizeof(WordTable),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
