/* Words in fonts that only kern neighbours: HarfBuzz sets each letter once and each pair of letters once, and words are
   put together from what it says. */

#include "shaping.h"

#include <stdlib.h>

enum { MAX_CODES = 0x2100, MAX_LETTERS = 256, TOGETHER = 2 };

typedef struct {
    int32_t glyph, advance;
} Letter;

/* pairs: 0: not seen; TOGETHER: HarfBuzz has to see the word, as for a ligature; else twice the kerning, and one more.
   Row 0 is of letters at the start of a word. */
struct Kerning {
    uint32_t script; /* of all letters */
    int count;
    uint8_t numbers[MAX_CODES]; /* of letters by their code, from 1 in the order in which they were seen */
    Letter letters[MAX_LETTERS];
    int16_t pairs[MAX_LETTERS][MAX_LETTERS];
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

/* Give a new letter a number. Returns 0 if there is none left; -1 with an exception. */
static int add_letter(Shaper *shaper, const char *text, const Character *letter, const Run *run, Glyphs *glyphs) {
    Kerning *kerning = shaper->kerning;
    if (letter->code >= MAX_CODES || kerning->count == MAX_LETTERS - 1)
        return 0;
    int64_t measure[2];
    const int64_t *glyph = look(shaper, text, letter, letter + 1, run, glyphs, measure);
    if (glyph == NULL)
        return -1;
    int number = kerning->numbers[letter->code] = (uint8_t)++kerning->count;
    int is_single = measure[0] == 1 && glyph[1] == 0 && glyph[2] == 0;
    if (is_single)
        kerning->letters[number] = (Letter){(int32_t)glyph[0], (int32_t)measure[1]};
    kerning->pairs[0][number] = is_single ? 1 : TOGETHER;
    return number;
}

/* How HarfBuzz kerns a letter after the one before, as in Kerning.pairs; 0 with an exception. Both are single glyphs. */
static int16_t kern(Shaper *shaper, const char *text, const Character *letter, const Letter *before, const Letter *own,
                    const Run *run, Glyphs *glyphs) {
    int64_t measure[2];
    const int64_t *glyph = look(shaper, text, letter - 1, letter + 1, run, glyphs, measure);
    if (glyph == NULL)
        return 0;
    int64_t kerned = measure[1] - before->advance - own->advance;
    int is_kerned = measure[0] == 2 && glyph[0] == before->glyph && glyph[1] == 0 && glyph[2] == 0 &&
                    glyph[3] == own->glyph && glyph[4] == before->advance + kerned && glyph[5] == 0 &&
                    kerned > INT16_MIN / 2 && kerned < INT16_MAX / 2;
    return is_kerned ? (int16_t)(2 * kerned + 1) : TOGETHER;
}

/* What Kerning.pairs has for a letter after the one with the number `before`, from now on; 0 with an exception. */
static int16_t find_pair(Shaper *shaper, const char *text, const Character *letter, int before, const Run *run,
                         Glyphs *glyphs) {
    Kerning *kerning = shaper->kerning;
    int number = letter->code < MAX_CODES ? kerning->numbers[letter->code] : 0;
    if (number == 0 && (number = add_letter(shaper, text, letter, run, glyphs)) <= 0)
        return number == 0 ? TOGETHER : 0;
    int16_t *pair = &kerning->pairs[before][number];
    if (*pair == 0)
        *pair = kerning->pairs[0][number] == TOGETHER ? TOGETHER
                                                      : kern(shaper, text, letter, &kerning->letters[before],
                                                             &kerning->letters[number], run, glyphs);
    return *pair;
}

int set_letters(Shaper *shaper, const char *text, const Character *letters, int count, const Run *run, Glyphs *glyphs,
                int64_t *measure) {
    Kerning *kerning = shaper->kerning;
    if (kerning == NULL || (kerning->count && kerning->script != run->script))
        return 0;
    if (!reserve_glyphs(glyphs, count))
        return -1;
    kerning->script = run->script;
    Py_ssize_t first = glyphs->count;
    int64_t x = 0;
    for (int i = 0, before = 0; i < count; i++) {
        int number = letters[i].code < MAX_CODES ? kerning->numbers[letters[i].code] : 0;
        int16_t pair = number ? kerning->pairs[before][number] : 0;
        if (pair == 0) {
            pair = find_pair(shaper, text, &letters[i], before, run, glyphs);
            if (pair == 0 || !reserve_glyphs(glyphs, count - i))
                return -1;
        }
        if (pair == TOGETHER) {
            glyphs->count = first;
            return 0;
        }
        before = kerning->numbers[letters[i].code];
        x += pair >> 1;
        int64_t *glyph = glyphs->values + 3 * glyphs->count++;
        glyph[0] = kerning->letters[before].glyph;
        glyph[1] = x;
        glyph[2] = 0;
        x += kerning->letters[before].advance;
    }
    measure[0] = count;
    measure[1] = x;
    return 1;
}
