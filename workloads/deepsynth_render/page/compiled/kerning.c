/* Words in fonts that only kern neighbours: HarfBuzz sets each letter once and each pair of letters once, and words are
   put together from what it says. */

#include "shaping.h"

#include <stdlib.h>

enum { MAX_CODES = 0x2100, MAX_LETTERS = 256, TOGETHER = 2 };

/* glyph: 0 if the letter alone is not one glyph at its place. */
typedef struct {
    int32_t glyph, advance;
} Letter;

struct Kerning {
    uint32_t script; /* of all letters */
    int count;
    uint8_t numbers[MAX_CODES]; /* of letters by their code, from 1 in the order in which they were seen */
    Letter letters[MAX_LETTERS];
    int16_t pairs[MAX_LETTERS][MAX_LETTERS]; /* 0: not seen; TOGETHER: HarfBuzz has to see the word, as for a ligature;
                                                else twice the kerning, and one more */
};

Kerning *create_kerning(void) {
    Kerning *kerning = calloc(1, sizeof *kerning);
    if (kerning == NULL)
        PyErr_NoMemory();
    return kerning;
}

/* What HarfBuzz makes of a part of a word: its glyphs, until others are appended. NULL with an exception. */
static const int64_t *look(Shaper *shaper, const char *text, const Character *first, const Character *end,
                           const Run *run, Glyphs *glyphs, int64_t *measure) {
    Py_ssize_t count = glyphs->count;
    if (!reserve_glyphs(glyphs, 1) ||
        !shape_text(shaper, text + first->start, end->start - first->start, run, glyphs, measure))
        return NULL;
    glyphs->count = count;
    return glyphs->values + 3 * count;
}

/* The number of a letter; 0 if it has none, since there are many others; -1 with an exception. */
static int find_letter(Shaper *shaper, const char *text, const Character *letter, const Run *run, Glyphs *glyphs) {
    Kerning *kerning = shaper->kerning;
    if (letter->code >= MAX_CODES)
        return 0;
    int number = kerning->numbers[letter->code];
    if (number || kerning->count == MAX_LETTERS - 1)
        return number;
    int64_t measure[2];
    const int64_t *glyph = look(shaper, text, letter, letter + 1, run, glyphs, measure);
    if (glyph == NULL)
        return -1;
    number = ++kerning->count;
    kerning->numbers[letter->code] = (uint8_t)number;
    if (measure[0] == 1 && glyph[1] == 0 && glyph[2] == 0)
        kerning->letters[number] = (Letter){(int32_t)glyph[0], (int32_t)measure[1]};
    return number;
}

/* As Kerning.pairs has it. Returns 0 with an exception. right: the second letter; left_number, right_number: of both. */
static int16_t find_pair(Shaper *shaper, const char *text, const Character *right, int left_number, int right_number,
                         const Run *run, Glyphs *glyphs) {
    Kerning *kerning = shaper->kerning;
    int16_t *pair = &kerning->pairs[left_number][right_number];
    if (*pair)
        return *pair;
    const Letter one = kerning->letters[left_number], other = kerning->letters[right_number];
    int64_t measure[2];
    const int64_t *glyph = look(shaper, text, right - 1, right + 1, run, glyphs, measure);
    if (glyph == NULL)
        return 0;
    int64_t kerned = measure[1] - one.advance - other.advance;
    int is_kerned = measure[0] == 2 && glyph[0] == one.glyph && glyph[1] == 0 && glyph[2] == 0 &&
                    glyph[3] == other.glyph && glyph[4] == one.advance + kerned && glyph[5] == 0 &&
                    kerned > INT16_MIN / 2 && kerned < INT16_MAX / 2;
    return *pair = is_kerned ? (int16_t)(2 * kerned + 1) : TOGETHER;
}

/* Append the glyphs of letters, which are the rest of a word from number `at` on. As set_letters. */
static int append_letters(Shaper *shaper, const char *text, const Character *letters, int count, const Run *run,
                          Glyphs *glyphs, int64_t *advance) {
    int before = 0;
    for (int i = 0; i < count; i++) {
        int number = find_letter(shaper, text, &letters[i], run, glyphs);
        const Letter *letter = &shaper->kerning->letters[number < 0 ? 0 : number];
        if (letter->glyph == 0)
            return number < 0 ? -1 : 0;
        int16_t pair = i ? find_pair(shaper, text, &letters[i], before, number, run, glyphs) : 1;
        if (pair == 0 || pair == TOGETHER)
            return pair == 0 ? -1 : 0;
        if (!reserve_glyphs(glyphs, 1))
            return -1;
        *advance += (pair - 1) / 2;
        int64_t *glyph = glyphs->values + 3 * glyphs->count++;
        glyph[0] = letter->glyph;
        glyph[1] = *advance;
        glyph[2] = 0;
        *advance += letter->advance;
        before = number;
    }
    return 1;
}

int set_letters(Shaper *shaper, const char *text, const Character *letters, int count, const Run *run, Glyphs *glyphs,
                int64_t *measure) {
    Kerning *kerning = shaper->kerning;
    if (kerning == NULL || (kerning->count && kerning->script != run->script))
        return 0;
    kerning->script = run->script;
    Py_ssize_t first = glyphs->count;
    measure[0] = count;
    measure[1] = 0;
    int done = append_letters(shaper, text, letters, count, run, glyphs, &measure[1]);
    if (done <= 0)
        glyphs->count = first;
    return done;
}
